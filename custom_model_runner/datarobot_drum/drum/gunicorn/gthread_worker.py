"""gunicorn's gthread worker with limits for requests; a silent connection occupies no thread."""

from typing import Any

from gunicorn.workers import gthread

from datarobot_drum.drum.gunicorn.worker import LimitedWorker

PAUSE_SECONDS = 0.05
"""Seconds that a thread waits for the first byte of a new connection."""


class LimitedThreadWorker(LimitedWorker, gthread.ThreadWorker):  # type: ignore[misc]
    """A gthread worker that leaves silent connections to its poller. Before gunicorn 25 it does so anyway."""

    def handle(self, conn: Any) -> Any:
        is_new = not conn.initialized
        if is_new and hasattr(gthread, "_DEFER") and not conn.wait_for_data(PAUSE_SECONDS):
            return gthread._DEFER
        try:
            conn.sock = self.to_limited(conn.sock)
        except OSError:  # the client has disconnected
            return False
        return super().handle(conn)
