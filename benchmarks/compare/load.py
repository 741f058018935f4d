"""The load: a crowd of clients in one small process, plain sockets and nothing but the standard library.

``python -m benchmarks.compare.load < plan.json > outcome.json``: each client asks on a connection that it keeps, the
next request as soon as the last is answered. A connection that the server closes is opened anew. Any status but 200
counts as a refusal; its time does not count.
"""

import json
import os
import selectors
import socket
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.compare.answers import Answer, BrokenAnswer
from benchmarks.compare.held import Held

BLOCK = 1 << 18


@dataclass(frozen=True)
class Plan:
    """What is asked, by how many and for how long.

    Attributes:
        body: file that holds the request's body.
        warm: seconds before the measured ones.
        seconds: measured seconds; ``requests`` may end them earlier.
        requests: a load of exactly so many requests, warm-up included; 0 for no such end.
        cores: where this process may run; empty for anywhere.
        patience: seconds without any byte from the server, after which the load fails.
        idle: further connections, each of which has asked once and is then kept without a word.
    """

    port: int
    path: str
    content_type: str
    body: str
    clients: int = 1
    warm: float = 0.5
    seconds: float = 2.0
    requests: int = 0
    cores: Sequence[int] = ()
    patience: float = 120.0
    idle: int = 0

    def request(self) -> bytes:
        """The bytes of the one request that all clients send."""
        body = Path(self.body).read_bytes()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Content-Type: {self.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True)
class Outcome:
    """What became of the load.

    Attributes:
        times: seconds of every answer with status 200 that came in the measured time, in order of coming.
        seconds: measured time, from its begin to the last of these answers.
        requests: all answers, also those of the warm-up.
        statuses: how many answers had each status, in the measured time.
        connections: how many were opened.
        load_cpu: seconds of processor time that this process took, from its first request to its last answer.
        lasted: seconds of that time.
        idle: how many of the idle connections were open to the end.
        failure: why the load ended before its time; empty if it did not.
    """

    times: Sequence[float]
    seconds: float
    requests: int
    statuses: dict[str, int]
    connections: int
    load_cpu: float
    lasted: float
    idle: int = 0
    failure: str = ""

    @property
    def refusals(self) -> int:
        """Answers with another status than 200."""
        return sum(count for status, count in self.statuses.items() if status != "200")

    @property
    def load_percent(self) -> float:
        """How much of one core the load itself took."""
        return 100 * self.load_cpu / self.lasted


class Client:
    """One connection at a time and the request that is under way on it."""

    def __init__(self, crowd: "Crowd") -> None:
        self._crowd = crowd
        self._socket: socket.socket | None = None
        self._rest = memoryview(b"")
        self._answer = Answer()
        self._begin = 0.0

    def ask(self) -> None:
        """Begin a request, on the connection that there is or a new one."""
        self._answer = Answer()
        self._rest = memoryview(self._crowd.request)
        self._begin = time.perf_counter()
        if self._socket is None:
            self._socket = self._connect()
            self._crowd.selector.register(self._socket, selectors.EVENT_WRITE, self)
        else:
            self.write()

    def write(self) -> None:
        """Send what the connection takes, then wait for the answer."""
        assert self._socket is not None
        try:
            self._rest = self._rest[self._socket.send(self._rest) :]
        except BlockingIOError:
            pass
        except OSError as error:
            raise BrokenAnswer(f"The request could not be sent: {error}") from error
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._rest else 0)
        if self._crowd.selector.get_key(self._socket).events != events:
            self._crowd.selector.modify(self._socket, events, self)

    def read(self) -> None:
        """Take what has come; with a complete answer the next request begins, unless the load is over."""
        assert self._socket is not None
        try:
            data = self._socket.recv(BLOCK)
        except OSError as error:
            raise BrokenAnswer(f"The connection broke: {error}") from error
        complete = self._answer.feed(data) if data else self._answer.end()
        if complete:
            self._finish()
        elif not data:
            self._lose()

    def close(self) -> None:
        if self._socket is not None:
            self._crowd.selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _finish(self) -> None:
        if self._answer.closes:
            self.close()
        if self._crowd.note(self._answer.status, self._begin):
            self.ask()
        else:
            self.close()

    def _lose(self) -> None:
        """A server may close a kept connection just when the next request comes: that one is asked again."""
        if self._answer.body or self._answer.status or self._crowd.lost_one_too_many():
            raise BrokenAnswer("The server closed the connection in the middle of an answer, or again and again.")
        self.close()
        self.ask()

    def _connect(self) -> socket.socket:
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect_ex(("127.0.0.1", self._crowd.plan.port))
        self._crowd.connections += 1
        return connection


class Crowd:
    """All clients of a load, and the clock that ends it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.request = plan.request()
        self.selector = selectors.DefaultSelector()
        self.connections = 0
        self._times = array("d")
        self._statuses: dict[int, int] = {}
        self._requests = self._asking = self._lost = 0
        self._measured_from = self._over_at = self._last = 0.0

    def run(self) -> Outcome:
        """Ask until the time is over and every answer has come."""
        try:
            with Held(self.plan.port, self.request, self.plan.idle, self.plan.patience) as held:
                outcome = self._run()
                return replace(outcome, idle=held.count_open())
        except BrokenAnswer as error:
            return Outcome((), 0.0, 0, {}, 0, 0.0, 1.0, failure=str(error))

    def _run(self) -> Outcome:
        cpu, begin = time.process_time(), time.perf_counter()
        self._measured_from = self._last = begin + self.plan.warm
        self._over_at = self._measured_from + self.plan.seconds
        failure = ""
        clients = [Client(self) for _ in range(self.plan.clients)]
        try:
            self._ask_on_and_on(clients)
        except BrokenAnswer as error:
            failure = str(error)
        for client in clients:
            client.close()
        return Outcome(
            times=self._times,
            seconds=self._last - self._measured_from,
            requests=self._requests,
            statuses={str(status): count for status, count in self._statuses.items()},
            connections=self.connections,
            load_cpu=time.process_time() - cpu,
            lasted=time.perf_counter() - begin,
            failure=failure,
        )

    def note(self, status: int, begin: float) -> bool:
        """Count an answer that has just come; whether its client shall ask again."""
        now = time.perf_counter()
        self._requests += 1
        if self._measured_from <= now <= self._over_at:
            self._statuses[status] = self._statuses.get(status, 0) + 1
            self._last = now
            if status == 200:
                self._times.append(now - begin)
        enough = self.plan.requests and self._requests + self._asking > self.plan.requests
        if now < self._over_at and not enough:
            return True
        self._asking -= 1
        return False

    def lost_one_too_many(self) -> bool:
        self._lost += 1
        return self._lost > 10 + self._requests // 10

    def _ask_on_and_on(self, clients: list[Client]) -> None:
        self._asking = len(clients)
        for client in clients:
            client.ask()
        while self._asking:
            ready = self.selector.select(self.plan.patience)
            if not ready:
                raise BrokenAnswer(f"The server sent nothing for {self.plan.patience:g} s.")
            for key, events in ready:
                if events & selectors.EVENT_READ:
                    key.data.read()
                elif events & selectors.EVENT_WRITE:
                    key.data.write()


def main() -> None:
    """Read a plan, load the server, write what became of it."""
    plan = Plan(**json.load(sys.stdin))
    if plan.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, plan.cores)
    outcome = Crowd(plan).run()
    json.dump({**asdict(outcome), "times": list(outcome.times)}, sys.stdout)


if __name__ == "__main__":
    main()
