"""Load: clients that send requests back to back, or at random times, each in a thread with one connection."""

import http.client
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean

from datarobot_drum.drum.commands.model_server import HOST, Response
from datarobot_drum.drum.commands.samples import Body

_MIN_TIMEOUT = 0.1
_MEMORY_INTERVAL = 0.2
_OPEN_REQUESTS = 64

PARTS = 5
"""Parts of a measurement whose rates show its spread."""

_MIN_RESPONSES_OF_PART = 4


@dataclass(frozen=True)
class LoadLevel:
    """A measurement to make: ``clients`` concurrent clients that send ``rows`` rows per request."""

    rows: int
    clients: int


@dataclass(frozen=True)
class Endpoint:
    """The target of the requests of a measurement."""

    port: int
    path: str
    body: Body
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Measurement:
    """The result of a load level. Latencies are those of responses with status 200, in seconds; ``memory`` is in
    bytes.
    """

    level: LoadLevel
    latencies: tuple[float, ...]
    seconds: float
    memory: int
    failures: Counter[str] = field(default_factory=Counter)
    finished: tuple[float, ...] = ()
    """When each of these responses came, in seconds after the start."""

    @property
    def requests(self) -> int:
        return len(self.latencies) + self.errors

    @property
    def errors(self) -> int:
        return self.failures.total()

    @property
    def requests_per_second(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def rows_per_second(self) -> float:
        return self.requests_per_second * self.level.rows

    @cached_property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest rows per second of equal parts of the measurement; the rate itself without any."""
        if len(self.finished) < PARTS * _MIN_RESPONSES_OF_PART:
            return self.rows_per_second, self.rows_per_second
        part = self.seconds / PARTS
        counts = Counter(min(int(moment / part), PARTS - 1) for moment in self.finished)
        rates = [counts[number] * self.level.rows / part for number in range(PARTS)]
        return min(rates), max(rates)

    @property
    def mean(self) -> float:
        return fmean(self.latencies) if self.latencies else math.nan

    def percentile(self, share: float) -> float:
        """Return the latency that ``share`` (0 to 1) of the responses did not exceed, by nearest rank; NaN
        without any.
        """
        if not self.latencies:
            return math.nan
        return sorted(self.latencies)[max(math.ceil(share * len(self.latencies)), 1) - 1]


class _Client:
    """One connection and the results of its requests."""

    def __init__(self, endpoint: Endpoint, deadline: float) -> None:
        self._endpoint = endpoint
        self._deadline = deadline
        self._headers = dict(endpoint.headers)
        self._connection = http.client.HTTPConnection(HOST, endpoint.port)
        self.latencies: list[float] = []
        self.moments: list[float] = []
        self.failures: Counter[str] = Counter()

    def send_until(self, end: float) -> None:
        """Send at least one request, and further ones until ``end`` on the clock of ``time.monotonic``."""
        try:
            self._send_measured()
            while time.monotonic() < min(end, self._deadline):
                self._send_measured()
        finally:
            self._connection.close()

    def send_at(self, times: Iterator[float]) -> None:
        """Send a request at each time of ``time.perf_counter``; latencies count from that time on."""
        try:
            for due in times:
                time.sleep(max(0.0, due - time.perf_counter()))
                self._send_measured(due)
        finally:
            self._connection.close()

    def _send_measured(self, due: float | None = None) -> None:
        start = time.perf_counter() if due is None else due
        try:
            response = self._send_or_reconnect()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self.failures[f"no response: {type(error).__name__} {error}".rstrip()] += 1
            return
        if response.status == http.HTTPStatus.OK:
            self.latencies.append(time.perf_counter() - start)
            self.moments.append(time.monotonic())
        else:
            self.failures[f"status {response.status}: {response.message}"] += 1

    def _send_or_reconnect(self) -> Response:
        is_new = self._connection.sock is None
        try:
            return self._send()
        except ConnectionError:
            if is_new:
                raise
        self._connection.close()  # The server may close an idle connection just before it is used again.
        return self._send()

    def _send(self) -> Response:
        timeout = max(self._deadline - time.monotonic(), _MIN_TIMEOUT)
        self._connection.timeout = timeout
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout)
        self._connection.request("POST", self._endpoint.path, self._endpoint.body.content, self._headers)
        response = self._connection.getresponse()
        return Response(response.status, response.read())


def measure_level(
    level: LoadLevel, endpoint: Endpoint, duration: float, deadline: float, memory: Callable[[], int]
) -> Measurement:
    """Send requests for ``duration`` seconds; no client waits beyond ``deadline``, on ``time.monotonic``."""
    clients = [_Client(endpoint, deadline) for _ in range(level.clients)]
    start = time.monotonic()
    threads = [threading.Thread(target=client.send_until, args=(start + duration,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    peak = memory()
    for thread in threads:
        while thread.is_alive():
            thread.join(_MEMORY_INTERVAL)
            peak = max(peak, memory())
    seconds = time.monotonic() - start
    failures = sum((client.failures for client in clients), Counter[str]())
    latencies = tuple(latency for client in clients for latency in client.latencies)
    finished = tuple(moment - start for client in clients for moment in client.moments)
    return Measurement(level, latencies, seconds, peak, failures, finished)


class _Arrivals(Iterator[float]):
    """Random times (Poisson) at a rate, shared by the threads of clients."""

    def __init__(self, rate: float, duration: float) -> None:
        self._draw = random.Random(1)
        self._rate = rate
        self._next = time.perf_counter()
        self._end = self._next + duration
        self._lock = threading.Lock()

    def __next__(self) -> float:
        with self._lock:
            self._next += self._draw.expovariate(self._rate)
            if self._next > self._end:
                raise StopIteration
            return self._next


def measure_rate(rate: float, endpoint: Endpoint, duration: float, deadline: float) -> Measurement:
    """Send requests at random times, ``rate`` a second, whether or not earlier ones have a response.

    Up to 64 requests are open at once; the latency of another one counts from the time when it was due.
    """
    arrivals = _Arrivals(rate, duration)
    clients = [_Client(endpoint, deadline) for _ in range(_OPEN_REQUESTS)]
    threads = [threading.Thread(target=client.send_at, args=(arrivals,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    latencies = tuple(latency for client in clients for latency in client.latencies)
    failures = sum((client.failures for client in clients), Counter[str]())
    return Measurement(LoadLevel(0, len(clients)), latencies, duration, 0, failures)
