"""gunicorn's gevent worker with limits for requests; each connection has a greenlet, so none blocks another."""

from typing import Any

from gunicorn.workers.ggevent import GeventWorker

from datarobot_drum.drum.gunicorn.worker import LimitedWorker


class LimitedGeventWorker(LimitedWorker, GeventWorker):  # type: ignore[misc]
    """A gevent worker whose reads meet deadlines."""

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        super().handle(listener, self.to_limited(client), addr)
