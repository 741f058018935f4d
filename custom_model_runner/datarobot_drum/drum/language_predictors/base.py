"""The interface between the core and a model in any language."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from datarobot_drum.drum.exceptions import PredictionError

if TYPE_CHECKING:
    import threading

    import numpy as np
    import pandas as pd

    from datarobot_drum.drum.language_predictors.transforms import Transformed
    from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput, UnstructuredOutput
    from datarobot_drum.drum.settings.engine import EngineSettings
    from datarobot_drum.drum.tabular.payload import StructuredPayload

ProbeResult = Mapping[str, Any] | tuple[Mapping[str, Any], int]
"""The JSON body of a probe, alone (status 200) or with its HTTP status."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Checked predictions, as the core encodes them.

    ``columns`` are class labels, or the name of the one value column. ``values`` is a contiguous array of one row a
    sample and one column a name: float64, or object for text. ``extra`` is extra model output, one row a sample.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    extra: pd.DataFrame | None = None


StreamChunk = Predictions | str | bytes
"""One block of predictions, or a piece of generated output that is sent as it is."""


class Worker(Protocol):
    """The worker process, as far as a predictor may use it."""

    def add_thread(self, thread: threading.Thread) -> None: ...
    def defer_stop(self, fn: Callable[[], object], desc: str = "") -> None: ...


class BasePredictor(ABC):
    """A model. Made cheaply, then loaded once, then asked from any thread, or from one if it is not thread-safe.

    ``language``, ``thread_safe``, ``max_concurrency`` and all about batches are known from the start.
    ``max_concurrency`` is how many calls the model takes at once in one process, None for any number.
    """

    language: ClassVar[str]
    thread_safe: bool = True
    max_concurrency: int | None = None
    supports_batching: ClassVar[bool] = False
    """Whether it makes sense to ask for the samples of several requests at once."""
    max_batch_size: int = 0
    """Rows of several requests that the model wants to predict at once; below 2 means that it does not."""
    batch_wait_ms: float = 0.0
    """Milliseconds that it wants a request to wait for others."""

    @property
    def concurrency_limit(self) -> int | None:
        """What the server keeps to: ``max_concurrency``, or one call at a time if the model is not thread-safe."""
        return self.max_concurrency if self.thread_safe else 1

    @property
    @abstractmethod
    def name(self) -> str:
        """What predicts, for ``/info/``: ``scikit-learn``, ``custom`` ..."""

    @abstractmethod
    def load(self) -> None:
        """Load the model; may take long.

        Raises:
            ModelLoadError: whatever went wrong, in one sentence.
        """

    def on_worker_start(self, worker: Worker) -> None:  # noqa: B027  # most predictors do nothing between two calls
        """Called once after ``load``: start what runs beside the calls, and leave its end to the worker."""

    @property
    def engine(self) -> EngineSettings | None:
        """The inference engine that clients may access directly, if there is one."""
        return None

    @property
    @abstractmethod
    def payload_formats(self) -> Mapping[str, str | None]:
        """The formats that can be read, with the version of the package behind each."""

    @property
    def reads_raw_input(self) -> bool:
        """Whether the model decodes the bytes of a request itself, whatever their format. Known after ``load``."""
        return False

    @property
    def only_streams(self) -> bool:
        """Whether structured predictions come from ``predict_stream`` alone. Known after ``load``."""
        return False

    @abstractmethod
    def read_input(self, payload: StructuredPayload) -> Any:
        """The samples, in whatever form ``predict`` takes them.

        Raises:
            UnprocessableInput: the payload cannot be read.
            PredictionError: a hook that reads it failed.
        """

    def check_samples(self, data: Any) -> None:  # noqa: B027  # most predictors take any table
        """Hold a table that ``read_input`` did not read against what the model says it takes.

        Raises:
            UnprocessableInput: it is another kind of table.
        """

    def predict_stream(self, payload: StructuredPayload) -> Iterator[StreamChunk]:
        """Predictions as they are made: of one block of rows after the other, so memory stays flat.

        Raises:
            UnprocessableInput, PredictionError, DrumHTTPError: as ``read_input`` and ``predict``, on the way.
        """
        yield self.predict(self.read_input(payload))

    @abstractmethod
    def predict(self, data: Any) -> Predictions:
        """Predict what ``read_input`` returned.

        Raises:
            PredictionError: the model raised, or its answer fails a check.
            DrumHTTPError: model code chose its own answer.
        """

    def predict_unstructured(self, asked: UnstructuredInput) -> UnstructuredOutput:
        """Answer a body of any kind.

        Raises:
            UnprocessableInput: the body is not the text that its media type promises.
            PredictionError, DrumHTTPError: as ``predict``.
        """
        raise PredictionError(f"The predictor {self.name} has no unstructured predictions.")

    def transform(self, samples: StructuredPayload, target: StructuredPayload | None) -> Transformed:
        """Transform samples, and their target if it was sent.

        Raises:
            UnprocessableInput: one of them cannot be read, or they do not belong together.
            PredictionError, DrumHTTPError: as ``predict``.
        """
        raise PredictionError(f"The predictor {self.name} does not transform.")

    @property
    def transforms(self) -> bool:
        """Whether rows are transformed instead of predicted."""
        return False

    def transform_samples(self, data: Any, target: StructuredPayload | None = None) -> Transformed:
        """The same for what ``read_input`` returned."""
        raise PredictionError(f"The predictor {self.name} does not transform.")

    @property
    def can_chat(self) -> bool:
        """Whether ``chat`` answers. Known after ``load``."""
        return False

    def chat(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        """A completion, or an iterator of its chunks, as objects of the OpenAI library or as dicts.

        Raises:
            PredictionError, DrumHTTPError: as ``predict``.
        """
        raise PredictionError(f"The predictor {self.name} cannot chat.")

    def list_models(self) -> Any:
        """What the model says of the language models behind it; None if it says nothing."""
        return None

    def liveness_probe(self) -> ProbeResult:
        return {"message": "OK"}

    def readiness_probe(self) -> ProbeResult:
        return {"message": "OK"}

    def close(self) -> None:  # noqa: B027  # most predictors hold nothing
        """Give back what ``load`` took."""
