"""The interface between the core and a predictor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.input_schema.columns import InputSchema
from datarobot_drum.drum.settings.build import VALUE_COLUMN

if TYPE_CHECKING:
    import threading

    import numpy as np
    import pandas as pd

    from datarobot_drum.drum.language_predictors.embeddings import EmbeddingInput, Embeddings
    from datarobot_drum.drum.language_predictors.transforms import Transformed
    from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput, UnstructuredOutput
    from datarobot_drum.drum.settings.engine import EngineSettings
    from datarobot_drum.drum.tabular.payload import StructuredPayload

ProbeResult = Mapping[str, Any] | tuple[Mapping[str, Any], int]
"""The JSON body of a probe, alone (status 200) or with an HTTP status."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Checked predictions, as the core encodes them.

    ``columns`` are class labels, or the names of the value columns: one, or one per target of a regression model.
    ``values`` is a contiguous array with one row per sample and one column per name: float64, or object for text.
    ``extra`` is extra model output, a row per sample.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    extra: pd.DataFrame | None = None


StreamChunk = Predictions | str | bytes
"""A block of predictions, or a chunk of generated output that is sent unchanged."""


class Worker(Protocol):
    """The part of the worker context that a predictor may use."""

    def add_thread(self, thread: threading.Thread) -> None: ...
    def defer_stop(self, fn: Callable[[], object], desc: str = "") -> None: ...


class BasePredictor(ABC):
    """A model: created cheaply, loaded once, then called in any thread, or one call at a time if not thread-safe.

    ``language``, ``thread_safe``, ``max_concurrency`` and the batch settings are known before ``load``.
    ``max_concurrency`` limits the concurrent calls in one process; None means no limit.
    """

    language: ClassVar[str]
    thread_safe: bool = True
    max_concurrency: int | None = None
    supports_batching: ClassVar[bool] = False
    """True if samples of several requests may be predicted in one call."""
    max_batch_size: int = 0
    """Maximum rows of a batch of several requests; below 2 disables batching."""
    batch_wait_ms: float = 0.0
    """Milliseconds that a request may wait for a batch."""

    @property
    def concurrency_limit(self) -> int | None:
        """The limit that the server applies: ``max_concurrency``, or 1 if the model is not thread-safe."""
        return self.max_concurrency if self.thread_safe else 1

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the framework or language for ``/info/``: ``scikit-learn``, ``custom`` ..."""

    @abstractmethod
    def load(self) -> None:
        """Load the model; may take long.

        Raises:
            ModelLoadError: the cause in one sentence.
        """

    def suspend_imports(self) -> None:  # noqa: B027  # most predictors import no code of a model
        """Hide the modules of this loaded model from models that are served beside it."""

    def on_worker_start(self, worker: Worker) -> None:  # noqa: B027  # most predictors have no background work
        """Start background work after ``load``; ``worker`` stops it."""

    def compile(self) -> str | None:
        """Compile the loaded model in this thread; return one sentence on the result, None if nothing is compiled."""
        return None

    @property
    def compiled(self) -> Mapping[str, Any] | None:
        """The compiled form that predicts, for ``/info/``; None if there is none."""
        return None

    @property
    def engine(self) -> EngineSettings | None:
        """The inference engine for direct access, None without one."""
        return None

    @property
    @abstractmethod
    def payload_formats(self) -> Mapping[str, str | None]:
        """The readable formats, with the version of the package that reads each."""

    @property
    def reads_raw_input(self) -> bool:
        """True if a hook decodes the bytes of a request, whatever their format. Known after ``load``."""
        return False

    @property
    def only_streams(self) -> bool:
        """True if only ``predict_stream`` makes structured predictions. Known after ``load``."""
        return False

    @property
    def predicts_rows(self) -> bool:
        """True if ``predict`` or ``predict_stream`` is available. Known after ``load``."""
        return True

    @property
    def class_labels(self) -> tuple[str, ...]:
        """The labels, the negative one first; known after ``load``, and empty without any."""
        return ()

    @property
    def output_columns(self) -> tuple[str, ...]:
        """The columns of every prediction, as far as they are known after ``load``."""
        return (VALUE_COLUMN,)

    @property
    def has_prediction_hooks(self) -> bool:
        """True if code of the model's owner takes part in predictions. Known after ``load``."""
        return True

    @abstractmethod
    def read_input(self, payload: StructuredPayload) -> Any:
        """Read the samples into the object that ``predict`` receives.

        Raises:
            UnprocessableInput: the payload cannot be read.
            PredictionError: the hook that reads it failed.
        """

    @property
    def input_schema(self) -> InputSchema:
        """The types of the columns that the server reads. Known after ``load``."""
        return InputSchema()

    def check_samples(self, data: Any) -> Any:
        """Return a table that ``read_input`` did not read with the types of the input schema.

        Raises:
            UnprocessableInput: the table does not meet the requirements of the model.
        """
        return data

    def predict_stream(self, payload: StructuredPayload) -> Iterator[StreamChunk]:
        """Yield predictions block by block, so memory stays flat.

        Raises:
            UnprocessableInput, PredictionError, DrumHTTPError: as ``read_input`` and ``predict``, at any block.
        """
        yield self.predict(self.read_input(payload))

    @abstractmethod
    def predict(self, data: Any) -> Predictions:
        """Predict what ``read_input`` returned.

        Raises:
            PredictionError: the model raised, or its result fails a check.
            DrumHTTPError: model code chose the response.
        """

    def predict_unstructured(self, request: UnstructuredInput) -> UnstructuredOutput:
        """Predict from a body of any media type.

        Raises:
            UnprocessableInput: the body is not text, but its media type is.
            PredictionError, DrumHTTPError: as ``predict``.
        """
        raise PredictionError(f"The predictor {self.name} has no unstructured predictions.")

    def transform(self, samples: StructuredPayload, target: StructuredPayload | None) -> Transformed:
        """Transform samples, and their target if it was sent.

        Raises:
            UnprocessableInput: one of them cannot be read, or their row counts differ.
            PredictionError, DrumHTTPError: as ``predict``.
        """
        raise PredictionError(f"The predictor {self.name} does not transform.")

    @property
    def transforms(self) -> bool:
        """True if the model transforms rows instead of predicting them."""
        return False

    def transform_samples(self, data: Any, target: StructuredPayload | None = None) -> Transformed:
        """Transform what ``read_input`` returned."""
        raise PredictionError(f"The predictor {self.name} does not transform.")

    @property
    def can_chat(self) -> bool:
        """True if ``chat`` is available. Known after ``load``."""
        return False

    def chat(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        """Return a completion or an iterator of its chunks, as objects of the OpenAI library or dicts.

        Raises:
            PredictionError, DrumHTTPError: as ``predict``.
        """
        raise PredictionError(f"The predictor {self.name} cannot chat.")

    @property
    def can_complete(self) -> bool:
        """True if ``complete`` is available; else ``chat`` makes completions. Known after ``load``."""
        return False

    def complete(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        """Return a completion, its text or texts, or an iterator of its chunks.

        Raises:
            PredictionError, DrumHTTPError: as ``predict``.
        """
        raise PredictionError(f"The predictor {self.name} has no completions.")

    @property
    def can_embed(self) -> bool:
        """True if ``embed`` is available. Known after ``load``."""
        return False

    def embed(self, request: EmbeddingInput, headers: Mapping[str, str]) -> Embeddings:
        """Return one vector per text.

        Raises:
            BadRequest: the model takes no arrays of tokens.
            PredictionError, DrumHTTPError: as ``predict``.
        """
        raise PredictionError(f"The predictor {self.name} has no embeddings.")

    @property
    def can_respond(self) -> bool:
        """True if ``respond`` is available; else ``chat`` makes responses. Known after ``load``."""
        return False

    def respond(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        """Return a response as of OpenAI's Responses API, its text, or an iterator of its events or texts.

        Raises:
            PredictionError, DrumHTTPError: as ``predict``.
        """
        raise PredictionError(f"The predictor {self.name} has no responses.")

    def count_tokens(self, text: str) -> int | None:
        """Return the number of tokens of a text; None if no tokenizer is known."""
        return None

    def list_models(self) -> Any:
        """Return the list of language models behind this one; None without a list."""
        return None

    def liveness_probe(self) -> ProbeResult:
        return {"message": "OK"}

    def readiness_probe(self) -> ProbeResult:
        return {"message": "OK"}

    def close(self) -> None:  # noqa: B027  # most predictors hold no resources
        """Release the resources that ``load`` acquired."""
