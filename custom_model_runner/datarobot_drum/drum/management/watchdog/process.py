"""The watchdog process: ``python -m datarobot_drum.drum.management.watchdog.process <config>``."""

import dataclasses
import json
import logging
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datarobot_drum.drum.management.watchdog.termination import ProcessTree
from datarobot_drum.drum.process.logs import configure_logging

if TYPE_CHECKING:
    import httpx

STAND_DOWN, FIRED = b"s", b"f"
"""What is said on the line: by the server, by the watchdog."""

LOADING_PAUSE = 5.0
"""Longest pause until the first 200: a model may hang as soon as it has loaded."""

logger = logging.getLogger("drum.watchdog")


@dataclass(frozen=True)
class WatchdogConfig:
    """Whom to ask, how patiently, and whom to end.

    ``timeout`` bounds an attempt and is the pause after it, ``grace`` is the time between SIGTERM and SIGKILL.
    """

    url: str
    attempts: int
    timeout: float
    grace: float
    server_pid: int
    logging_level: str
    log_format: str

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


class HealthMonitor:
    """Asks until the last of ``attempts`` in a row has failed, then ends the server.

    Nothing counts before the first 200: a server that loads says 503, and one whose model cannot be loaded says 513
    for as long as it is left alone. From then on no answer in time, no connection and every 5xx are failures, and any
    other answer starts the count anew. The watch ends with the server, or when the server begins to leave.
    """

    def __init__(self, orders: WatchdogConfig, line: socket.socket) -> None:
        self._orders = orders
        self._line = line
        self._was_ready = False
        self._firing = threading.Lock()

    def run(self) -> None:
        """Watch until the server is gone, one way or the other."""
        import httpx

        threading.Thread(target=self._end_with_server, name="drum-watchdog-line", daemon=True).start()
        tree = ProcessTree(self._orders.server_pid)
        # A connection of its own for each attempt: one that is kept says nothing about the next.
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(timeout=self._orders.timeout, limits=limits, trust_env=False) as client:
            reason = self._last_failure(client)
        if self._has_parent:
            self._fire(tree, reason)

    def _end_with_server(self) -> None:
        self._line.recv(1)  # a byte, or nothing at the end of the line
        with self._firing:  # once it has fired, the end of the server is no reason to stop
            os._exit(os.EX_OK)

    @property
    def _has_parent(self) -> bool:
        """Whether the server is still there: the line stays open when a child of the server's holds it, too."""
        return os.getppid() == self._orders.server_pid

    def _last_failure(self, client: "httpx.Client") -> str:
        """Ask and ask; return what went wrong in the last attempt of all."""
        failures = 0
        while self._has_parent:
            reason = self._attempt(client)
            failures = failures + 1 if reason else 0
            if reason:
                logger.warning("Attempt %d of %d failed: %s.", failures, self._orders.attempts, reason)
            if failures == self._orders.attempts:
                return reason
            time.sleep(self._orders.timeout if self._was_ready else min(self._orders.timeout, LOADING_PAUSE))
        return ""

    def _attempt(self, client: "httpx.Client") -> str:
        """Why an attempt failed; empty if it did not, or does not count yet."""
        reason = self._ask(client)
        return reason if self._was_ready else ""

    def _ask(self, client: "httpx.Client") -> str:
        import httpx

        url = self._orders.url
        try:
            with client.stream("GET", url) as answer:
                status = answer.status_code
        except httpx.TimeoutException:
            return f"no answer from {url} within {self._orders.timeout:g} s"
        except httpx.TransportError as error:
            return f"no answer from {url}: {error}"
        if status == 200 and not self._was_ready:
            self._was_ready = True
            logger.info("Watching %s.", url)
        return f"{url} answered {status}" if status >= 500 else ""

    def _fire(self, tree: ProcessTree, reason: str) -> None:
        self._firing.acquire()
        try:
            self._line.send(FIRED)
        except OSError:  # it was leaving at this very moment
            return
        pids = ", ".join(map(str, tree.pids()))
        logger.error(
            "The server has failed %d times in a row (%s); ending processes %s.", self._orders.attempts, reason, pids
        )
        tree.terminate(self._orders.grace)


def main() -> None:
    """Watch as the command line orders."""
    orders = WatchdogConfig(**json.loads(sys.argv[1]))
    configure_logging(orders.logging_level, orders.log_format)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    HealthMonitor(orders, socket.socket(fileno=os.dup(sys.stdin.fileno()))).run()


if __name__ == "__main__":
    main()
