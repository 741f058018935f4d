"""The worker's side of its acceptor: starts it, tells it what probes answer, takes the connections it hands over."""

import array
import asyncio
import logging
import marshal
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from datarobot_drum.drum.process.signals import blocked_signals
from datarobot_drum.drum.settings.build import Settings
from datarobot_drum.drum.uvicorn import acceptor
from datarobot_drum.drum.uvicorn.acceptor import ANSWERS, BATCH, LINE_SIZE, STOP, TAKEN, Answer
from datarobot_drum.drum.uvicorn.loads import Seat

logger = logging.getLogger(__name__)

BEAT_TICKS = 5
"""The acceptor hears from the event loop every half second: so many of uvicorn's ticks."""

STUCK_SECONDS = 5.0
"""An acceptor that is told to stop and for so long neither hands anything over nor ends is killed."""

PARTING_SECONDS = 0.02
"""Time between two clients that are asked to connect anew."""

RETRY_SECONDS = 1.0
"""Pause of a worker without descriptors, as asyncio makes it."""

Answers = Mapping[bytes, Answer]


class Handover:
    """To be closed after serving; then the acceptor has ended.

    Args:
        keep_alive: seconds that a connection may be idle between two probes.
        seat: of the worker among others; None if it is alone.
    """

    def __init__(self, listener: socket.socket, keep_alive: int, seat: Seat | None) -> None:
        self._family = listener.family
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.setblocking(False)
        # A process that the model forks must not keep the line open once this one has ended.
        os.register_at_fork(after_in_child=self._line.close)
        passed = [listener.fileno(), theirs.fileno()]
        words = [*passed, keep_alive]
        if seat is not None:
            seat.take()
            passed.append(seat.fd)
            words += [seat.fd, seat.place]
        # An interpreter of its own, not a fork: nothing of this process, its threads and its locks is in there.
        command = [sys.executable, "-I", "-S", acceptor.__file__, *map(str, words)]
        with theirs, blocked_signals(signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=passed)
        self._seat = seat
        self._ended = 0
        self._next_parting = 0.0
        self._answers: Callable[[], tuple[bool, bool, Answers]] = lambda: (False, False, {})
        self._serve: Callable[[socket.socket], object]
        self._on_loss: Callable[[], object]
        self._owed = bytearray()
        self._edition = 0
        self._beat = 0.0
        self._batches = 0
        self._stopping = False
        self._over = asyncio.Event()

    @classmethod
    def start(cls, settings: Settings, listener: socket.socket, seat: Seat | None) -> "Handover | None":
        """Start an acceptor on ``listener``; None where there is none to be had, or none wanted."""
        if not settings.server.fastapi_acceptor or sys.platform != "linux" or not sys.executable:
            return None
        try:
            return cls(listener, int(settings.server.fastapi_keepalive), seat)
        except OSError as error:
            if seat is not None:
                seat.leave()
            logger.warning("No acceptor: %s.", error)
            return None

    def attach(self, serve: Callable[[socket.socket], object], on_loss: Callable[[], object]) -> None:
        """Take connections from now on; to be called on the event loop.

        Args:
            serve: given each of them, non-blocking.
            on_loss: told if the acceptor has ended by itself.
        """
        self._serve = serve
        self._on_loss = on_loss
        asyncio.get_running_loop().add_reader(self._line.fileno(), self._receive)

    def publish_from(self, answers: Callable[[], tuple[bool, bool, Answers]]) -> None:
        """Answer probes with what ``answers`` says, from now on; signal handlers call it, too.

        It tells whether the worker is ready for requests, whether the connections of probes end with their answer, and
        the answers by path.
        """
        self._answers = answers
        self.beat()

    def beat(self) -> None:
        """The event loop lives, and these are its answers."""
        self._beat = time.monotonic()
        self._acknowledge()
        self.publish()

    def publish(self) -> None:
        """Tell the acceptor what probes answer from now on. A signal handler may call it, amid another call."""
        self._edition += 1
        edition = 0
        while edition != self._edition:  # else what was told last may be older than what a handler told before it
            edition = self._edition
            ready, closing, answers = self._answers()
            message = ANSWERS + marshal.dumps((self._beat, ready, closing, dict(answers)))
            if len(message) <= LINE_SIZE:
                self._say(message)

    def _say(self, message: bytes) -> bool:
        """Whether it could be said; an acceptor that does not listen does not answer either."""
        try:
            self._line.send(message)
        except OSError:
            return False
        return True

    def _receive(self) -> None:
        try:
            size = BATCH * array.array("i").itemsize
            told, ancillary, _, _ = self._line.recvmsg(BATCH, socket.CMSG_LEN(size), socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, ConnectionResetError):  # what was said before the end is read next
            return
        if not told:
            self._end()
            return
        numbers = array.array("i")
        for _, _, data in ancillary:
            numbers.frombytes(data)
        self._batches += 1
        self._owed.append(len(numbers))
        self._acknowledge()
        for number in numbers:
            connection = socket.socket(self._family, socket.SOCK_STREAM, fileno=number)
            connection.setblocking(False)
            self._serve(connection)
        if len(numbers) < len(told):
            self._rest()

    def _acknowledge(self) -> None:
        if self._owed and self._say(TAKEN + self._owed):
            self._owed.clear()

    def _rest(self) -> None:
        """There were not enough descriptors for all: the acceptor keeps the others until there are."""
        logger.error("Out of descriptors; new connections wait.")
        loop, number = asyncio.get_running_loop(), self._line.fileno()
        loop.remove_reader(number)
        loop.call_later(RETRY_SECONDS, lambda: self._over.is_set() or loop.add_reader(number, self._receive))

    def count_end(self) -> None:
        """A connection that was handed over has ended."""
        self._ended += 1
        if self._seat is not None:
            self._seat.tell_ended(self._ended)

    def wants_to_part(self) -> bool:
        """Whether a client had better connect anew, to a worker with fewer connections; says so to one at a time.

        They are uneven once a worker was ready before another one, or has taken the place of one that died: clients
        that keep their connections would never come to it.
        """
        if self._seat is None:
            return False
        now = time.monotonic()
        if now < self._next_parting or not self._seat.have_far_fewer:
            return False
        self._next_parting = now + PARTING_SECONDS
        return True

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._line.fileno())
        self._line.close()
        self._process.wait()
        self._over.set()
        if self._seat is not None:
            self._seat.leave()
        if not self._stopping:
            logger.warning(
                "The acceptor has ended (exit code %d); the worker listens itself.", self._process.returncode
            )
            self._on_loss()

    async def stop(self) -> None:
        """Have everything handed over that the acceptor holds or can still accept, and the acceptor ended."""
        self._stopping = True
        told = False
        while not self._over.is_set():
            told = told or self._say(STOP)
            batches = self._batches
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._over.wait(), STUCK_SECONDS)
            if batches == self._batches and not self._over.is_set():
                self._process.kill()

    def close(self) -> None:
        """End the acceptor, whatever it holds."""
        self._line.close()
        try:
            self._process.wait(STUCK_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
