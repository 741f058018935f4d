"""Handlers over a fake predictor, and requests for them: no server, no client."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions, ProbeResult, StreamChunk
from datarobot_drum.drum.language_predictors.embeddings import EmbeddingInput, Embeddings, to_embeddings
from datarobot_drum.drum.language_predictors.transforms import Transformed
from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput, UnstructuredOutput
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.handlers import Handlers
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.metrics.recorder import OFF, Recorder
from datarobot_drum.drum.serving.model_state import ModelState
from datarobot_drum.drum.tabular.payload import StructuredPayload
from tests.language_predictors.builders import model_settings

Labels = tuple[str, ...]
LABELS: dict[str, Labels] = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "multilabel": ("x", "y")}


class FakePredictor(BasePredictor):
    """Returns ``result`` from every prediction method, or raises it; keeps what it was called with in ``calls``."""

    language = "python"

    def __init__(self, result: Any = None, **attributes: Any) -> None:
        self.result = result
        self.calls: list[Any] = []
        self.formats: Mapping[str, str | None] = {"csv": "2.0", "mtx": None}
        self.raw_input = False
        self.chats = self.completes = self.embeds = self.responds = False
        self.counts_words = False
        self.models: Any = None
        for name, value in attributes.items():
            setattr(self, name, value)

    @property
    def name(self) -> str:
        return "fake"

    def load(self) -> None:
        """Nothing to load."""

    @property
    def payload_formats(self) -> Mapping[str, str | None]:
        return self.formats

    @property
    def reads_raw_input(self) -> bool:
        return self.raw_input

    @property
    def can_chat(self) -> bool:
        return self.chats

    @property
    def can_complete(self) -> bool:
        return self.completes

    def complete(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        return self._return((params, headers))

    @property
    def can_embed(self) -> bool:
        return self.embeds

    def embed(self, request: EmbeddingInput, headers: Mapping[str, str]) -> Embeddings:
        return to_embeddings(self._return((request, headers)), request.count)

    @property
    def can_respond(self) -> bool:
        return self.responds

    def respond(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        return self._return((params, headers))

    def count_tokens(self, text: str) -> int | None:
        return len(text.split()) if self.counts_words else None

    def read_input(self, payload: StructuredPayload) -> StructuredPayload:
        return payload

    def predict(self, data: StructuredPayload) -> Predictions:
        predictions: Predictions = self._return(data.read_bytes())
        return predictions

    def predict_stream(self, payload: StructuredPayload) -> Iterator[StreamChunk]:
        self.calls.append(payload.read_bytes())
        for chunk in self.result:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def predict_unstructured(self, asked: UnstructuredInput) -> UnstructuredOutput:
        output: UnstructuredOutput = self._return(asked)
        return output

    def transform(self, samples: StructuredPayload, target: StructuredPayload | None) -> Transformed:
        transformed: Transformed = self._return((samples.read_bytes(), target and target.read_bytes()))
        return transformed

    def chat(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        return self._return((params, headers))

    def list_models(self) -> Any:
        if isinstance(self.models, Exception):
            raise self.models
        return self.models

    def _return(self, call: Any) -> Any:
        self.calls.append(call)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result() if callable(self.result) else self.result


class ProbedPredictor(FakePredictor):
    """Has probes of its own: ``result`` is what both return."""

    def liveness_probe(self) -> ProbeResult:
        probe: ProbeResult = self._return("liveness")
        return probe

    def readiness_probe(self) -> ProbeResult:
        probe: ProbeResult = self._return("readiness")
        return probe


def make_handlers(
    predictor: BasePredictor | None,
    target_type: str = "regression",
    *,
    prepare: Callable[[ModelState], object] = ModelState.set_ready,
    running: bool = True,
    llm_id: str = "",
    show_details: bool = True,
    recorder: Recorder = OFF,
    **settings: Any,
) -> Handlers:
    """Return handlers of a model in the state that ``prepare`` puts it in."""
    state, worker_ctx = ModelState(), WorkerCtx()
    prepare(state)
    if running:
        worker_ctx.start()
    model = model_settings(Path("/model"), target_type, LABELS.get(target_type, ()), **settings)
    return Handlers(
        predictor, model, "fastapi", state, worker_ctx, llm_id, show_details=show_details, recorder=recorder
    )


def loading(state: ModelState) -> None:
    """Leave the model loading."""


def failed(state: ModelState) -> None:
    state.set_failed("no such artifact")


def numbers(*values: float) -> Predictions:
    return Predictions(("Predictions",), np.array(values, dtype=float).reshape(-1, 1))


def post(content: bytes = b"x\n1\n", content_type: str = "text/csv", **headers: str) -> ModelRequest:
    """A request with a raw body; of a header's name, underscores are hyphens."""
    fields = [("Content-Type", content_type), *((name.replace("_", "-"), value) for name, value in headers.items())]
    return ModelRequest("POST", Headers(fields), body=SpooledUploadFile.from_bytes(content))


def post_form(*parts: tuple[str, bytes], content_type: str | None = None, filename: str | None = None) -> ModelRequest:
    """A request with a form; every part has the same type and file name."""
    uploads = (
        SpooledUploadFile.from_bytes(content, name=name, content_type=content_type, filename=filename)
        for name, content in parts
    )
    return ModelRequest("POST", Headers([("Content-Type", "multipart/form-data; boundary=b")]), parts=tuple(uploads))


def post_json(document: Any, **headers: str) -> ModelRequest:
    return post(json.dumps(document).encode(), "application/json", **headers)


def document_of(response: ModelResponse) -> Any:
    """The JSON body of a response."""
    assert isinstance(response.content, bytes) and response.media_type == "application/json"
    return json.loads(response.content)
