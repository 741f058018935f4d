"""The load generator: many clients in one process, on plain sockets and the standard library.

``python -m benchmarks.compare.load < plan.json > outcome.json``: each client sends requests back to back on one
connection, and reconnects if the server closes it. Any status but 200 counts as a rejection; its time does not count.
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

from benchmarks.compare.idle_connections import IdleConnections
from benchmarks.compare.responses import InvalidResponse, Response

BLOCK = 1 << 18


@dataclass(frozen=True)
class Plan:
    """The request, the number of clients and the durations.

    Attributes:
        body: file with the request's body.
        warm: seconds before the measured ones.
        seconds: measured seconds; ``requests`` may end them earlier.
        requests: exact number of requests, warm-up included; 0 for no limit.
        cores: CPU affinity of this process; empty for any.
        timeout: seconds without any byte from the server, after which the load fails.
        idle: number of additional idle connections, each with one request before.
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
    timeout: float = 120.0
    idle: int = 0

    def request(self) -> bytes:
        """Return the bytes of the request that all clients send."""
        body = Path(self.body).read_bytes()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Content-Type: {self.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True)
class LoadResult:
    """The result of a load.

    Attributes:
        times: seconds of every response with status 200 in the measured time, in order of arrival.
        seconds: measured time, from its start to the last of these responses.
        requests: all responses, also those of the warm-up.
        statuses: number of responses by status, in the measured time.
        connections: number of opened connections.
        load_cpu: CPU seconds of this process, from its first request to its last response.
        elapsed: seconds of that time.
        idle: number of idle connections that were open to the end.
        failure: why the load ended early; empty if it did not.
    """

    times: Sequence[float]
    seconds: float
    requests: int
    statuses: dict[str, int]
    connections: int
    load_cpu: float
    elapsed: float
    idle: int = 0
    failure: str = ""

    @property
    def rejections(self) -> int:
        """The number of responses with another status than 200."""
        return sum(count for status, count in self.statuses.items() if status != "200")

    @property
    def load_percent(self) -> float:
        """The share of one core that the load itself took."""
        return 100 * self.load_cpu / self.elapsed


class Client:
    """A client with at most one connection and one request in flight."""

    def __init__(self, generator: "LoadGenerator") -> None:
        self._generator = generator
        self._socket: socket.socket | None = None
        self._rest = memoryview(b"")
        self._response = Response()
        self._started_at = 0.0

    def send(self) -> None:
        """Start a request, on the open connection or a new one."""
        self._response = Response()
        self._rest = memoryview(self._generator.request)
        self._started_at = time.perf_counter()
        if self._socket is None:
            self._socket = self._connect()
            self._generator.selector.register(self._socket, selectors.EVENT_WRITE, self)
        else:
            self.write()

    def write(self) -> None:
        """Send as much as the socket accepts, then wait for the response."""
        assert self._socket is not None
        try:
            self._rest = self._rest[self._socket.send(self._rest) :]
        except BlockingIOError:
            pass
        except OSError as error:
            raise InvalidResponse(f"The request could not be sent: {error}") from error
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._rest else 0)
        if self._generator.selector.get_key(self._socket).events != events:
            self._generator.selector.modify(self._socket, events, self)

    def read(self) -> None:
        """Read available bytes; after a complete response start the next request, unless the load has ended."""
        assert self._socket is not None
        try:
            data = self._socket.recv(BLOCK)
        except OSError as error:
            raise InvalidResponse(f"The connection broke: {error}") from error
        complete = self._response.feed(data) if data else self._response.end()
        if complete:
            self._finish()
        elif not data:
            self._reconnect()

    def close(self) -> None:
        if self._socket is not None:
            self._generator.selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _finish(self) -> None:
        if self._response.closes:
            self.close()
        if self._generator.record(self._response.status, self._started_at):
            self.send()
        else:
            self.close()

    def _reconnect(self) -> None:
        """Resend a request if the server has closed the idle connection just before."""
        if self._response.body or self._response.status or self._generator.too_many_reconnects():
            raise InvalidResponse("The server closed the connection within a response, or repeatedly.")
        self.close()
        self.send()

    def _connect(self) -> socket.socket:
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect_ex(("127.0.0.1", self._generator.plan.port))
        self._generator.connections += 1
        return connection


class LoadGenerator:
    """All clients of a load, and the clock that ends it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.request = plan.request()
        self.selector = selectors.DefaultSelector()
        self.connections = 0
        self._times = array("d")
        self._statuses: dict[int, int] = {}
        self._requests = self._active = self._reconnects = 0
        self._measured_from = self._end_at = self._last = 0.0

    def run(self) -> LoadResult:
        """Send requests until the time is over and every response has arrived."""
        try:
            with IdleConnections(self.plan.port, self.request, self.plan.idle, self.plan.timeout) as connections:
                result = self._run()
                return replace(result, idle=connections.count_open())
        except InvalidResponse as error:
            return LoadResult((), 0.0, 0, {}, 0, 0.0, 1.0, failure=str(error))

    def _run(self) -> LoadResult:
        cpu, start = time.process_time(), time.perf_counter()
        self._measured_from = self._last = start + self.plan.warm
        self._end_at = self._measured_from + self.plan.seconds
        failure = ""
        clients = [Client(self) for _ in range(self.plan.clients)]
        try:
            self._send_until_done(clients)
        except InvalidResponse as error:
            failure = str(error)
        for client in clients:
            client.close()
        return LoadResult(
            times=self._times,
            seconds=self._last - self._measured_from,
            requests=self._requests,
            statuses={str(status): count for status, count in self._statuses.items()},
            connections=self.connections,
            load_cpu=time.process_time() - cpu,
            elapsed=time.perf_counter() - start,
            failure=failure,
        )

    def record(self, status: int, start: float) -> bool:
        """Count a response and return True if its client shall send another request."""
        now = time.perf_counter()
        self._requests += 1
        if self._measured_from <= now <= self._end_at:
            self._statuses[status] = self._statuses.get(status, 0) + 1
            self._last = now
            if status == 200:
                self._times.append(now - start)
        enough = self.plan.requests and self._requests + self._active > self.plan.requests
        if now < self._end_at and not enough:
            return True
        self._active -= 1
        return False

    def too_many_reconnects(self) -> bool:
        self._reconnects += 1
        return self._reconnects > 10 + self._requests // 10

    def _send_until_done(self, clients: list[Client]) -> None:
        self._active = len(clients)
        for client in clients:
            client.send()
        while self._active:
            ready = self.selector.select(self.plan.timeout)
            if not ready:
                raise InvalidResponse(f"The server sent nothing for {self.plan.timeout:g} s.")
            for key, events in ready:
                if events & selectors.EVENT_READ:
                    key.data.read()
                elif events & selectors.EVENT_WRITE:
                    key.data.write()


def main() -> None:
    """Read a plan from standard input, run the load and write the result to standard output."""
    plan = Plan(**json.load(sys.stdin))
    if plan.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, plan.cores)
    result = LoadGenerator(plan).run()
    json.dump({**asdict(result), "times": list(result.times)}, sys.stdout)


if __name__ == "__main__":
    main()
