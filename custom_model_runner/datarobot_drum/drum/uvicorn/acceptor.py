"""The process in front of one worker: it accepts the worker's connections, and answers its probes.

A model that holds the interpreter keeps its worker from answering anything. So the worker says in advance, every half
second and whenever its state changes, what its probes answer, and this process, whose interpreter nobody holds, says
so to who asks. Every other connection goes to the worker as it came, its first bytes unread.

Run as a file by an interpreter that imports nothing else (``python -I -S acceptor.py``): the standard library alone,
and of that as little as possible, for every worker has one of these. ``handover.py`` is the side of the worker. The
two talk over the line, a pair of Unix sockets that keep messages whole: ``TAKEN``, ``ANSWERS`` or ``STOP`` in one
direction, descriptors in the other. The end of the line, on either side, means that the other process has ended.
"""

import array
import marshal
import os
import select
import socket
import sys
import time
from collections import deque

TAKEN, ANSWERS, STOP = b"t", b"a", b"s"
"""First byte of what a worker says: how many descriptors of each batch it took; its answers, its beat and whether it is
ready; hand over everything and end."""

BEGUN, ENDED, NUMBERS = 0, 1, 2
"""Numbers of a worker that all acceptors see (``Peers``), of 64 bits each."""

ABSENT = 1 << 62
"""Connections of a worker for which nobody waits."""

_UNREADY = 1 << 40
"""Connections that count for a worker whose model is not loaded, or that is about to end."""

_BEHIND = 1 << 20
"""The same for one that has not taken what it was handed."""

BATCH = 64
"""Most descriptors in one message; the kernel's limit is 253."""

LINE_SIZE = 64 * 1024
"""Longest message."""

_WINDOW = 4
"""Batches that may be on their way; the kernel counts descriptors in flight, and what waits here does not count."""

_SILENCE = 5.0
"""Seconds until a connection that has sent nothing is handed over: how long it may stay is for the worker to say."""

_PAUSE = 0.1
"""Seconds until the next attempt at what the kernel had no descriptors or memory for."""

_HEAD_START = 0.02
"""Seconds that a worker with fewer connections has to take a new one before another one does."""

_GLANCE = 0.001
"""Seconds between two looks at whether it has."""

_PEEK = 4096
_PIPELINED = 16
_SPARE_DESCRIPTORS = 32

_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")

_LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789"
_IN_NAMES = _LETTERS + b"!#$%&'*+-.^_`|~"
_VISIBLE = bytes(range(0x21, 0x7F))
_IN_VALUES = _VISIBLE + b" \t"
_LONGEST_ID = 128
_NOT_PLAIN = {b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"proxy-connection"}

Answer = tuple[float, bytes, bytes, bytes, bytes]
"""Seconds of silence after which it is no longer the worker's; then what stands before the date, before the request id,
and after it, and the body."""

Probe = tuple[bytes, bytes, bool, int]
"""Path, request id (or nothing), whether the connection ends with the answer, length of the head."""


def read_probe(data: bytes) -> Probe | None:
    """The request that ``data`` begins with, if it is all there, without a body, and there is nothing odd about it.

    Whatever an HTTP parser might refuse, or take in another way than this function does, is odd.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0 or not data.startswith(b"GET /"):
        return None
    first, *lines = data[:end].split(b"\r\n")
    words = first.split(b" ")
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.lower()
        if not name or name in fields or name.translate(None, _IN_NAMES) or value.translate(None, _IN_VALUES):
            return None
        fields[name] = value.strip(b" \t")
    connection = fields.get(b"connection", b"keep-alive").lower()
    identifier = fields.get(b"x-request-id", b"")
    if (
        len(words) != 3
        or words[2] not in (b"HTTP/1.1", b"HTTP/1.0")
        or connection not in (b"close", b"keep-alive")
        or b"host" not in fields
        or not _NOT_PLAIN.isdisjoint(fields)
        or len(identifier) > _LONGEST_ID
        or identifier.translate(None, _VISIBLE)
    ):
        return None
    return words[1], identifier, connection == b"close" or words[2] == b"HTTP/1.0", end + 4


def http_date(seconds: float) -> bytes:
    """The time as the ``Date`` header has it (RFC 9110, 5.6.7)."""
    moment = time.gmtime(seconds)
    day, month = _DAYS[moment.tm_wday], _MONTHS[moment.tm_mon - 1]
    return b"%s, %02d %s %04d %02d:%02d:%02d GMT" % (day, moment.tm_mday, month, moment.tm_year, *moment[3:6])


def new_request_id() -> bytes:
    """A UUID of version 4, as the worker makes them."""
    number = int.from_bytes(os.urandom(16), "big") & ~(0xF << 76) & ~(0x3 << 62) | 4 << 76 | 2 << 62
    digits = b"%032x" % number
    return b"-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class _Held:
    """A connection whose next bytes have not come."""

    __slots__ = ("answered", "since", "sock", "watched")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.since = time.monotonic()
        self.watched = self.answered = False


class Acceptor:
    """Serves one worker until the worker tells it to stop, or ends.

    Args:
        keep_alive: seconds that a connection may be idle after an answer.
        peers: None if no other worker listens.
    """

    def __init__(
        self, listener: socket.socket, line: socket.socket, keep_alive: float, peers: "Peers | None" = None
    ) -> None:
        self._listener = listener
        self._line = line
        self._keep_alive = keep_alive
        self._peers = peers
        self._passed = 0
        self._is_ready = False
        self._has_callers = False
        self._callers = select.poll()
        self._callers.register(listener, select.POLLIN)
        self._passed_over_since = 0.0
        self._epoll = select.epoll()
        self._listening = self._stopping = self._closing = False
        self._paused_until = self._next_look = self._beat = 0.0
        self._answers: dict[bytes, Answer] = {}
        self._held: dict[int, _Held] = {}
        self._waiting: deque[socket.socket] = deque()
        self._handed: deque[list[socket.socket]] = deque()
        self._room = _room()

    def run(self) -> None:
        """Work until told to stop."""
        self._line.setblocking(False)
        self._listener.setblocking(False)
        self._epoll.register(self._line, select.EPOLLIN)
        while not self._stopping:
            self._turn()
        self._take_leave()
        while self._waiting or self._handed:
            self._turn()

    def _turn(self) -> None:
        now = _now()  # one for both: who does not listen has to wake up again
        self._listen(self._wants_more(now))
        ready = [number for number, _ in self._epoll.poll(self._timeout(now))]
        self._hear()  # what the worker has to say comes first
        for number in ready:
            if number in self._held:
                self._look(self._held[number])
        self._has_callers = self._has_callers or self._listener.fileno() in ready
        if self._has_callers and self._listening and not self._stopping:
            self._welcome()
        self._look_after_the_idle()
        self._hand_over()
        self._tell_peers()

    def _wants_more(self, now: float) -> bool:
        held = len(self._held) + len(self._waiting) + len(self._handed) * BATCH
        return not self._stopping and held < self._room and self._paused_until < now

    def _timeout(self, now: float) -> float | None:
        if self._paused_until >= now:
            return _PAUSE
        if self._has_callers and self._listening:
            return _GLANCE if self._passed_over_since else 0
        if self._waiting and len(self._handed) < _WINDOW:
            return _PAUSE
        return 1.0 if self._held else None

    def _listen(self, wanted: bool) -> None:
        if wanted and not self._listening:
            # Told of each caller once: one that is for somebody else keeps this process from sleeping no longer.
            self._epoll.register(self._listener, select.EPOLLIN | select.EPOLLET)
        elif self._listening and not wanted:
            self._epoll.unregister(self._listener)
        self._listening = wanted

    def _welcome(self) -> None:
        """Take those who call, as long as they are ours to take."""
        for _ in range(BATCH):
            self._has_callers = bool(self._callers.poll(0))
            if not (self._has_callers and self._wants_more(_now()) and self._is_our_turn()):
                break
            self._accept(1)
            self._tell_peers()
        if not self._has_callers:
            self._passed_over_since = 0.0

    def _is_our_turn(self) -> bool:
        """Whether no other worker has fewer connections, or the one that has lets its caller, perhaps a probe, wait."""
        now = _now()
        since = self._passed_over_since or now
        if self._peers is None or self._peers.have_more or now - since > _HEAD_START:
            self._passed_over_since = 0.0
            return True
        self._passed_over_since = since
        return False

    def _tell_peers(self) -> None:
        if self._peers is not None:
            more = 0 if self._is_ready and not self._closing else _UNREADY
            if self._waiting or self._handed:
                more += _BEHIND
            self._peers.set(BEGUN, self._passed + len(self._held) + more)

    def _accept(self, most: int) -> None:
        """Take new connections; without descriptors they stay in the kernel's backlog."""
        for _ in range(most):
            try:
                held = _Held(self._listener.accept()[0])
            except BlockingIOError:
                break
            except ConnectionError:
                continue
            except OSError:
                self._paused_until = _now() + _PAUSE
                break
            self._look(held)

    def _look(self, held: _Held) -> None:
        """Answer the probes that have come; what has come then decides who goes on with the connection."""
        for _ in range(_PIPELINED):
            try:
                data = held.sock.recv(_PEEK, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            probe = read_probe(data)
            if not data:
                self._close(held)
            elif probe is None or not self._answer(held, probe, len(data)):
                self._pass_on(held)
            elif held.sock.fileno() >= 0:
                continue
            return
        if not held.watched:
            self._epoll.register(held.sock, select.EPOLLIN)
            self._held[held.sock.fileno()] = held
            held.watched = True

    def _answer(self, held: _Held, probe: Probe, there: int) -> bool:
        """Whether the probe was answered; if not, nothing of it was read."""
        path, identifier, closes, length = probe
        self._hear()
        closes = closes or self._closing
        answer = self._answers.get(path)
        if answer is None or _now() - self._beat > answer[0] or (closes and there > length):
            return False
        _, before_date, before_id, after_id, body = answer
        last = b"connection: close\r\n\r\n" if closes else b"\r\n"
        parts = (before_date, http_date(time.time()), before_id, identifier or new_request_id(), after_id, last, body)
        text = b"".join(parts)
        try:
            sent = held.sock.send(text, socket.MSG_DONTWAIT)
            held.sock.recv(length)
        except BlockingIOError:  # it asks and asks without reading what it is told
            return False
        except OSError:
            sent = 0
        held.answered = True
        held.since = _now()
        if closes or sent < len(text):
            self._close(held)
        return True

    def _look_after_the_idle(self) -> None:
        if self._next_look < _now():
            self._next_look = _now() + 1.0
            for held in list(self._held.values()):
                if _now() - held.since > (self._keep_alive if held.answered else _SILENCE):
                    self._dismiss(held)

    def _dismiss(self, held: _Held) -> None:
        """End a connection that is idle between two requests; whoever has sent nothing yet is about to."""
        if held.answered:
            self._close(held)
        else:
            self._pass_on(held)

    def _close(self, held: _Held) -> None:
        self._let_go(held)
        held.sock.close()

    def _pass_on(self, held: _Held) -> None:
        self._let_go(held)
        self._waiting.append(held.sock)
        self._passed += 1

    def _let_go(self, held: _Held) -> None:
        if held.watched:  # a copy of the worker's would keep it in the epoll
            self._epoll.unregister(held.sock)
            del self._held[held.sock.fileno()]
            held.watched = False

    def _hand_over(self) -> None:
        while self._waiting and len(self._handed) < _WINDOW:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            numbers = array.array("i", [sock.fileno() for sock in batch])
            try:
                self._line.sendmsg([bytes(len(batch))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])
            except OSError:  # too many are in flight on this machine, or the worker is gone, which the line says next
                self._waiting.extendleft(reversed(batch))
                return
            self._handed.append(batch)

    def _hear(self) -> None:
        """Take in what the worker says; end with it."""
        while True:
            try:
                message = self._line.recv(LINE_SIZE)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                os._exit(os.EX_OK)
            if message[:1] == TAKEN:
                for count in message[1:]:
                    self._taken(count)
            elif message[:1] == ANSWERS:
                self._beat, self._is_ready, self._closing, self._answers = marshal.loads(message[1:])
            else:
                self._stopping = True

    def _taken(self, count: int) -> None:
        """The worker had descriptors left for the first ``count`` of the oldest batch; it gets the others again."""
        batch = self._handed.popleft()
        for sock in batch[:count]:
            sock.close()
        self._waiting.extendleft(reversed(batch[count:]))

    def _take_leave(self) -> None:
        """Take what waits in the listener, and hand over everybody who may be about to send a first request."""
        self._listen(False)
        if self._peers is not None:
            self._peers.set(BEGUN, ABSENT)
            self._peers = None
        self._answers = {}
        self._accept(sys.maxsize)
        self._listener.close()
        for held in list(self._held.values()):
            self._look(held)
        for held in list(self._held.values()):
            self._dismiss(held)
        self._hand_over()


class Peers:
    """The connections of all workers of a server, in memory that they and their acceptors share.

    For each worker there are those that were begun, told by its acceptor, and those that have ended, told by the
    worker. Each number has one writer, so no lock is needed.

    Args:
        fd: of that memory.
        place: of the own worker.
    """

    def __init__(self, fd: int, place: int) -> None:
        import mmap

        self.fd = fd
        self.place = place
        self._numbers = memoryview(mmap.mmap(fd, 0)).cast("q")
        self._own = place * NUMBERS
        self._others = [at for at in range(0, len(self._numbers), NUMBERS) if at != self._own]

    def _open(self, at: int) -> int:
        return self._numbers[at + BEGUN] - self._numbers[at + ENDED]

    @property
    def have_more(self) -> bool:
        """Whether no other worker has fewer connections."""
        own = self._open(self._own)
        return all(own <= self._open(at) for at in self._others)

    @property
    def have_far_fewer(self) -> bool:
        """Whether a worker that is ready has so much fewer that clients had better go there."""
        own = self._open(self._own) % _BEHIND
        return own > 2 and any(own > 1.5 * self._open(at) + 2 for at in self._others)

    def set(self, which: int, number: int) -> None:
        self._numbers[self._own + which] = number


def _now() -> float:
    return time.monotonic()


def _room() -> int:
    """How many connections this process may hold; whoever started the server has raised the limit of descriptors."""
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (soft if soft >= 0 else sys.maxsize) - _SPARE_DESCRIPTORS


def main() -> None:
    """Serve as the command line says: descriptors of listener and line, seconds of keep-alive; with peers the
    descriptor of their numbers and the own place."""
    listener, line, keep_alive, *peers = map(int, sys.argv[1:])
    sockets = socket.socket(fileno=listener), socket.socket(fileno=line)
    Acceptor(*sockets, keep_alive, Peers(*peers) if peers else None).run()


if __name__ == "__main__":
    main()
