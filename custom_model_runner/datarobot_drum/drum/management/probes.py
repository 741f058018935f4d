"""What probes answer for a whole server, from the table of its workers."""

import time
from collections.abc import Iterable

from datarobot_drum.drum.management.hang_limits import HangLimits
from datarobot_drum.drum.management.status import StatusTable, WorkerState, WorkerStatus

Probe = tuple[int, dict[str, object]]
"""The status and the body of the response."""

_REASONS = {
    WorkerState.LOADING: "model is loading",
    WorkerState.NOT_READY: "model is not ready",
    WorkerState.READY: "worker does not respond",
    WorkerState.FAILED: "model failed to load",
}
"""Why workers are not ready; with several reasons, the first of these is returned."""


class Probes:
    """Liveness and readiness of the server whose workers report in ``table``."""

    def __init__(self, table: StatusTable, limits: HangLimits) -> None:
        self._table = table
        self._limits = limits
        self._last_seen = time.monotonic()

    def find_workers(self) -> list[WorkerStatus]:
        """Return the workers, and note when there were some; to be called now and then."""
        workers = self._table.workers()
        if workers or self._table.is_stopping:
            self._last_seen = time.monotonic()
        return workers

    def liveness(self) -> Probe:
        """Return 503 if every worker is hung, or if there has been none for as long as one may be silent."""
        workers = self.find_workers()
        if time.monotonic() - self._last_seen > self._limits.idle:
            return _not_alive("no worker is running", [])
        if workers and all(map(self._limits.is_hung, workers)):
            return _not_alive("every worker is hung", [worker.pid for worker in workers])
        return 200, {"status": "alive"}

    def readiness(self) -> Probe:
        """Return 200 if at least one worker is ready for requests."""
        workers = [] if self._table.is_stopping else self.find_workers()
        if any(map(self._is_ready, workers)):
            return 200, {"status": "ready"}
        return 503, {"status": "not ready", "reason": _reason(workers)}

    def _is_ready(self, worker: WorkerStatus) -> bool:
        return worker.state is WorkerState.READY and not worker.is_draining and self._limits.is_responsive(worker)


def _reason(workers: Iterable[WorkerStatus]) -> str:
    states = {worker.state for worker in workers if not worker.is_draining}
    return next((reason for state, reason in _REASONS.items() if state in states), "worker not running")


def _not_alive(reason: str, pids: list[int]) -> Probe:
    return 503, {"status": "not alive", "reason": reason, "pids": pids}
