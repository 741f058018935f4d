"""The rows of gunicorn's workers in the status table."""

import threading
import time
from typing import Any

from datarobot_drum.drum.management.reporting import BEAT_SECONDS, StatusReporter
from datarobot_drum.drum.management.status import StatusTable, WorkerStatus
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer


class WorkerRows:
    """The row of each worker, reserved by the master before the fork."""

    def __init__(self, table: StatusTable) -> None:
        self._table = table
        self._rows: dict[int, WorkerStatus] = {}
        """By the worker's age, gunicorn's number of a worker."""

    def allocate(self, worker: Any) -> None:
        self._rows[worker.age] = self._table.allocate()

    def of(self, worker: Any) -> WorkerStatus:
        return self._rows[worker.age]

    def release(self, worker: Any) -> None:
        self._rows.pop(worker.age).release()


def keep_reporting(server: PredictionServer, status: WorkerStatus) -> None:
    """Beat from a thread of the worker, or a greenlet where gevent has patched threads.

    Not from the worker's loop: that of a sync worker waits minutes for a connection. So a heartbeat says that the
    worker runs Python; gunicorn's own timeout finds a loop that hangs.
    """
    reporter = StatusReporter(server, status)

    def beat() -> None:
        while True:
            reporter.beat()
            time.sleep(BEAT_SECONDS)

    threading.Thread(target=beat, name="drum-heartbeat", daemon=True).start()
