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

DISARM, FIRED = b"s", b"f"
"""Messages on the control socket: from the server, from the watchdog."""

MAX_LOADING_PAUSE = 5.0
"""Longest pause between attempts until the first 200: a model may hang as soon as it has loaded."""

logger = logging.getLogger("drum.watchdog")


@dataclass(frozen=True)
class WatchdogConfig:
    """What to request how often, and which process to end.

    ``timeout`` bounds an attempt and is the pause after it. ``grace`` is the time between SIGTERM and SIGKILL.
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
    """Sends requests until ``attempts`` in a row have failed, then ends the server.

    Nothing counts before the first 200: a loading server responds 503, an error server 513. From then on a timeout, no
    connection and every 5xx are failures, and any other response resets the count. Monitoring ends when the server
    ends or starts to stop.
    """

    def __init__(self, config: WatchdogConfig, control: socket.socket) -> None:
        self._config = config
        self._control = control
        self._was_ready = False
        self._firing = threading.Lock()

    def run(self) -> None:
        """Monitor until the server has ended."""
        import httpx

        threading.Thread(target=self._end_with_server, name="drum-watchdog-control", daemon=True).start()
        tree = ProcessTree(self._config.server_pid)
        # A new connection for each attempt: one that is kept says nothing about the next.
        limits = httpx.Limits(max_keepalive_connections=0)
        # The server's certificate has the name that its clients use, not this one.
        with httpx.Client(timeout=self._config.timeout, limits=limits, trust_env=False, verify=False) as client:
            reason = self._last_failure(client)
        if self._has_parent:
            self._fire(tree, reason)

    def _end_with_server(self) -> None:
        self._control.recv(1)  # a byte, or nothing when the server has ended
        with self._firing:  # once it has fired, the end of the server is no reason to stop
            os._exit(os.EX_OK)

    @property
    def _has_parent(self) -> bool:
        """Return whether the server runs; a child of it may hold the control socket open for longer."""
        return os.getppid() == self._config.server_pid

    def _last_failure(self, client: "httpx.Client") -> str:
        """Send requests until the last attempt has failed; return why."""
        failures = 0
        while self._has_parent:
            reason = self._attempt(client)
            failures = failures + 1 if reason else 0
            if reason:
                logger.warning("Attempt %d of %d failed: %s.", failures, self._config.attempts, reason)
            if failures == self._config.attempts:
                return reason
            time.sleep(self._config.timeout if self._was_ready else min(self._config.timeout, MAX_LOADING_PAUSE))
        return ""

    def _attempt(self, client: "httpx.Client") -> str:
        """Return why an attempt failed; empty if it did not, or does not count yet."""
        reason = self._request(client)
        return reason if self._was_ready else ""

    def _request(self, client: "httpx.Client") -> str:
        import httpx

        url = self._config.url
        try:
            with client.stream("GET", url) as response:
                status = response.status_code
        except httpx.TimeoutException:
            return f"no answer from {url} within {self._config.timeout:g} s"
        except httpx.TransportError as error:
            return f"no answer from {url}: {error}"
        if status == 200 and not self._was_ready:
            self._was_ready = True
            logger.info("Watching %s.", url)
        return f"{url} answered {status}" if status >= 500 else ""

    def _fire(self, tree: ProcessTree, reason: str) -> None:
        self._firing.acquire()
        try:
            self._control.send(FIRED)
        except OSError:  # the server has just ended
            return
        pids = ", ".join(map(str, tree.pids()))
        logger.error(
            "The server has failed %d times in a row (%s); ending processes %s.", self._config.attempts, reason, pids
        )
        tree.terminate(self._config.grace)


def main() -> None:
    """Monitor the server that the command line names."""
    config = WatchdogConfig(**json.loads(sys.argv[1]))
    configure_logging(config.logging_level, config.log_format)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    HealthMonitor(config, socket.socket(fileno=os.dup(sys.stdin.fileno()))).run()


if __name__ == "__main__":
    main()
