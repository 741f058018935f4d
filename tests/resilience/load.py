"""Constant load: clients that send one prediction request after the other, also while the server restarts."""

import asyncio
import itertools
import threading
import time
from dataclasses import dataclass
from types import TracebackType

from tests.resilience.connections import Connection, Response, post, rows

PAUSE = 0.005
"""Seconds between a response and the client's next request."""

WAIT = 60.0


@dataclass(frozen=True)
class Outcome:
    """Response or error of one request. ``former`` is the previous response on the same connection, if any."""

    x: int
    response: Response | None = None
    error: str = ""
    former: Response | None = None

    @property
    def is_good(self) -> bool:
        return self.response is not None and self.response.status == 200


class ConstantLoad:
    """Clients in a thread of their own; a context manager.

    A client retries only while it cannot connect, or if its connection is closed before it has sent a byte.
    """

    def __init__(self, port: int, clients: int = 10, *, keep_alive: bool = True, columns: dict[str, float]) -> None:
        self._port = port
        self._clients = clients
        self._keep_alive = keep_alive
        self._columns = columns
        self._numbers = itertools.count()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="constant-load")
        self.outcomes: list[Outcome] = []

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if not outcome.is_good]

    def wait_for(self, more: int) -> None:
        """Wait for ``more`` further outcomes."""
        wanted = len(self.outcomes) + more
        deadline = time.monotonic() + WAIT
        while len(self.outcomes) < wanted:
            assert time.monotonic() < deadline, f"only {len(self.outcomes)} of {wanted} outcomes: {self.failures}"
            time.sleep(0.02)

    def __enter__(self) -> "ConstantLoad":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped = True
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._load())

    async def _load(self) -> None:
        await asyncio.gather(*(self._send_requests() for _ in range(self._clients)))

    async def _send_requests(self) -> None:
        connection: Connection | None = None
        former: Response | None = None
        while not self._stopped:
            if connection is not None and connection.is_over:
                connection.close()
                connection = None
            if connection is None:
                connection, former = await self._connect(), None
            if connection is not None:
                outcome = await self._send(connection, former)
                former = outcome.response
                if former is None or not self._keep_alive or former.headers.get("connection") == "close":
                    connection.close()
                    connection = None
                await asyncio.sleep(PAUSE)
        if connection is not None:
            connection.close()

    async def _connect(self) -> Connection | None:
        try:
            return await Connection.open(self._port)
        except OSError:
            await asyncio.sleep(0.02)
            return None

    async def _send(self, connection: Connection, former: Response | None) -> Outcome:
        x = next(self._numbers)
        lines = ["Content-Type: text/csv"] + ([] if self._keep_alive else ["Connection: close"])
        try:
            outcome = Outcome(x, await connection.request(post(rows(x, **self._columns), *lines)), former=former)
        except (OSError, EOFError) as error:
            outcome = Outcome(x, error=repr(error), former=former)
        self.outcomes.append(outcome)
        return outcome
