"""The rule that tells a hung worker from a busy one, for the supervisor and the management port."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datarobot_drum.drum.management.status import WorkerState, WorkerStatus

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.server_parameters import ServerParameters

READY_SILENCE = 10.0
"""Seconds without a heartbeat after which a worker without a running prediction is not ready. Tight, as a failed
readiness probe only sends requests elsewhere; a busy worker stays ready."""


@dataclass(frozen=True)
class HangLimits:
    """Longest silence of a worker's heartbeat, in seconds; ``inf`` for no limit.

    Wide, as a hung worker is killed. Python cannot beat while a prediction holds the GIL, so a worker with a running
    prediction gets the request timeout on top. A worker that loads its model, or drains, is never hung.
    """

    idle: float
    predicting: float

    @classmethod
    def of(cls, server: "ServerParameters") -> "HangLimits":
        """Return the limits of ``DRUM_WORKER_TIMEOUT`` and ``DRUM_CLIENT_REQUEST_TIMEOUT``; 0 = no limit."""
        idle, request = server.worker_timeout or math.inf, server.request_timeout or math.inf
        return cls(idle, idle + request)

    def is_responsive(self, worker: WorkerStatus) -> bool:
        """Return whether the worker is busy, or has beaten lately."""
        silence = worker.silence()
        return silence <= READY_SILENCE or (bool(worker.running) and silence <= self.predicting)

    def is_hung(self, worker: WorkerStatus) -> bool:
        """Return whether the worker has been silent for longer than its work explains."""
        if worker.state is WorkerState.LOADING or worker.is_draining:
            return False
        return worker.silence() > (self.predicting if worker.running else self.idle)
