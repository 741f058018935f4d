"""A core around a model that a test holds, for adapters without a server."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.memory_budget import MemoryBudget
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure
from datarobot_drum.drum.serving.handlers import Handlers
from datarobot_drum.drum.serving.model_state import ModelState
from datarobot_drum.drum.serving.request_log import RequestLog
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular.payload import StructuredPayload

PATIENCE = 20.0
"""Seconds after which a test gives up on what must happen at once."""


class SizePredictor(BasePredictor):
    """Predicts how many bytes it was given; waits before it does while it is held."""

    language = "python"
    name = "size"

    def __init__(self) -> None:
        self.payloads: list[StructuredPayload] = []
        self.threads: list[str] = []
        self._free = threading.Event()
        self._free.set()

    def load(self) -> None:
        """Nothing to load."""

    @property
    def payload_formats(self) -> Mapping[str, str | None]:
        return {"csv": None}

    def read_input(self, payload: StructuredPayload) -> int:
        self.payloads.append(payload)
        return len(payload.read_bytes())

    def predict(self, data: int) -> Predictions:
        self.threads.append(threading.current_thread().name)
        if not self._free.wait(PATIENCE):
            raise TimeoutError("The test never let this prediction end.")
        return Predictions(("Predictions",), np.array([[float(data)]]))

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()


@dataclass
class CoreUnderTest:
    """The parts of a core that tests look at. ``limits`` hold their temporary files and budget."""

    folder: Path
    spool_size: int = 1024
    max_size: int = 0
    workers: int = 1
    queue_timeout: float = PATIENCE
    predictor: SizePredictor = field(default_factory=SizePredictor)

    def __post_init__(self) -> None:
        self.budget = MemoryBudget(10**6)
        self.executor = ExecutorWithBackpressure(self.workers, 10, self.queue_timeout)
        self.state = ModelState()
        self.state.set_ready()
        self.worker_ctx = WorkerCtx()
        self.worker_ctx.start()
        self.request_log = RequestLog()
        limits = BodyLimits(self.max_size, self.spool_size, str(self.folder), self.budget)
        handlers = Handlers(self.predictor, self._model(), "fastapi", self.state, self.worker_ctx)
        self.core = ServingCore(
            handlers, self.executor, self.state, self.worker_ctx, self.request_log, limits, load_timeout=PATIENCE
        )

    def _model(self) -> ModelSettings:
        return ModelSettings(self.folder, TargetType.REGRESSION, None, (), None, None, None, None)

    def with_core(self, **changes: Any) -> "CoreUnderTest":
        """The same with other fields of the core."""
        self.core = replace(self.core, **changes)
        return self

    def left_behind(self) -> dict[str, object]:
        """What requests that are over may not keep: nothing, when all is well."""
        metrics = self.executor.metrics()
        kept = {
            "in flight": self.request_log.in_flight,
            "bytes in memory": self.budget.used,
            "temporary files": open_files_in(self.folder),
            "in the executor": metrics["executor_pending"],
            "waiting": metrics["executor_waiting"],
        }
        return {name: value for name, value in kept.items() if value}


def open_files_in(folder: Path) -> list[str]:
    """Descriptors of this process that lead below ``folder``, files without a name included."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:  # the descriptor of this very listing
            continue
        if target.startswith(f"{folder}/"):
            found.append(target)
    return found
