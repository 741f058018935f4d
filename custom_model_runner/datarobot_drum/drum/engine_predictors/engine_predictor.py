"""The predictor of a model in an engine; hooks of ``custom.py`` precede the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from datarobot_drum.drum.engine_predictors.completions import (
    COMPLETIONS_PATH,
    EMBEDDINGS_PATH,
    Completions,
    message_text,
)
from datarobot_drum.drum.engine_predictors.health import EngineHealthMonitor
from datarobot_drum.drum.exceptions import BadGateway, PredictionError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions, ProbeResult, StreamChunk, Worker
from datarobot_drum.drum.language_predictors.custom_module import find_custom_file
from datarobot_drum.drum.language_predictors.embeddings import EmbeddingInput, Embeddings, to_embeddings
from datarobot_drum.drum.language_predictors.python_predictor import PythonPredictor
from datarobot_drum.drum.settings.build import VALUE_COLUMN
from datarobot_drum.drum.tabular import PayloadFormat, read_table
from datarobot_drum.drum.tabular.readable_formats import readable_formats

if TYPE_CHECKING:
    import pandas as pd

    from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput, UnstructuredOutput
    from datarobot_drum.drum.settings.build import ModelSettings
    from datarobot_drum.drum.settings.engine import EngineSettings
    from datarobot_drum.drum.tabular.payload import StructuredPayload

_SCORING_HOOK_NAMES = ("score", "score_stream", "read_input_data")


class EnginePredictor(BasePredictor):
    """A model in an engine, or in hooks of ``custom.py``. Calls raise ``ModelNotReady`` until the engine is ready.

    Raises:
        ModelLoadError: the folder contains several ``custom.py``.
    """

    language = "python"

    def __init__(self, settings: ModelSettings, engine: EngineSettings) -> None:
        self._settings = settings
        self._engine = engine
        self._health = EngineHealthMonitor(engine)
        self._completions = Completions(engine)
        self._hooks = PythonPredictor(settings) if find_custom_file(settings.code_dir) else None
        self.thread_safe = self._hooks is None or self._hooks.thread_safe
        self.max_concurrency = None if self._hooks is None else self._hooks.max_concurrency

    @property
    def name(self) -> str:
        return self._engine.kind

    @property
    def engine(self) -> EngineSettings | None:
        return self._engine

    @property
    def output_columns(self) -> tuple[str, ...]:
        return (self._settings.target_name or VALUE_COLUMN,)

    def load(self) -> None:
        """Load ``custom.py``, without waiting for the engine."""
        if self._hooks is not None:
            self._hooks.load()

    def on_worker_start(self, worker: Worker) -> None:
        self._health.start(worker)

    def close(self) -> None:
        self._completions.close()
        if self._hooks is not None:
            self._hooks.close()

    def readiness_probe(self) -> ProbeResult:
        return self._health.probe()

    # Tables of prompts

    @property
    def payload_formats(self) -> Mapping[str, str | None]:
        if self._hooks is not None:
            return self._hooks.payload_formats
        if not self._settings.target_type.is_structured:
            return {}
        return {name: found for name, found in readable_formats().items() if name != PayloadFormat.MTX.value}

    @property
    def reads_raw_input(self) -> bool:
        return self._scoring_hooks is not None and self._scoring_hooks.reads_raw_input

    def read_input(self, payload: StructuredPayload) -> Any:
        self._health.require_ready()
        return self._scoring_hooks.read_input(payload) if self._scoring_hooks else read_table(payload)

    def predict(self, data: Any) -> Predictions:
        if self._scoring_hooks:
            return self._scoring_hooks.predict(data)
        return self._to_predictions([self._complete(prompt) for prompt in self._prompts(data)])

    def predict_stream(self, payload: StructuredPayload) -> Iterator[StreamChunk]:
        data = self.read_input(payload)
        if self._scoring_hooks:
            yield from self._scoring_hooks.predict_stream(payload)
            return
        for prompt in self._prompts(data):
            yield self._to_predictions([self._complete(prompt)])

    @property
    def _scoring_hooks(self) -> PythonPredictor | None:
        """The hooks of ``custom.py``, if they predict rows."""
        hooks = self._hooks
        return hooks if hooks is not None and any(map(hooks.has_hook, _SCORING_HOOK_NAMES)) else None

    def _prompts(self, table: pd.DataFrame) -> list[str]:
        column = self._engine.prompt_column
        if column in table:
            return [str(prompt) for prompt in table[column]]
        if len(table.columns) == 1:
            return [str(prompt) for prompt in table.iloc[:, 0]]
        raise UnprocessableInput(f"The input has no column {column!r} of prompts (DRUM_ENGINE_PROMPT_COLUMN).")

    def _complete(self, prompt: str) -> str | None:
        completion = self._completions.create({"messages": [{"role": "user", "content": prompt}]})
        assert isinstance(completion, dict), "streaming was not requested"
        return message_text(completion)

    def _to_predictions(self, texts: list[str | None]) -> Predictions:
        values = np.array(texts, dtype=object).reshape(-1, 1)
        return Predictions((self._settings.target_name or VALUE_COLUMN,), values)

    # Unstructured and chat

    def predict_unstructured(self, request: UnstructuredInput) -> UnstructuredOutput:
        self._health.require_ready()
        if self._hooks is None:
            raise UnprocessableInput("This model has no hook score_unstructured: use /directAccess/.")
        return self._hooks.predict_unstructured(request)

    @property
    def can_chat(self) -> bool:
        return self._settings.target_type.may_chat

    def chat(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        self._health.require_ready()
        if self._hooks is not None and self._has_hook("chat"):
            return self._hooks.chat(params, headers)
        return self._completions.create(params)

    @property
    def can_complete(self) -> bool:
        """True if ``complete`` is a hook, or the engine's; a ``chat`` hook precedes the engine."""
        return self._settings.target_type.may_chat and (self._has_hook("complete") or not self._has_hook("chat"))

    def complete(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        self._health.require_ready()
        if self._hooks is not None and self._has_hook("complete"):
            return self._hooks.complete(params, headers)
        return self._completions.create(params, COMPLETIONS_PATH)

    @property
    def can_embed(self) -> bool:
        return self._settings.target_type.may_chat

    def embed(self, request: EmbeddingInput, headers: Mapping[str, str]) -> Embeddings:
        self._health.require_ready()
        if self._hooks is not None and self._has_hook("embed"):
            return self._hooks.embed(request, headers)
        params = {**request.params, "encoding_format": "float"}
        document = self._completions.create(params, EMBEDDINGS_PATH)
        try:
            return to_embeddings(document, request.count)
        except PredictionError as error:
            raise BadGateway("The engine's answer does not hold one vector of numbers per text.") from error

    @property
    def can_respond(self) -> bool:
        return self._hooks is not None and self._hooks.can_respond

    def respond(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        self._health.require_ready()
        assert self._hooks is not None
        return self._hooks.respond(params, headers)

    def count_tokens(self, text: str) -> int | None:
        return self._hooks.count_tokens(text) if self._hooks is not None else None

    def _has_hook(self, name: str) -> bool:
        return self._hooks is not None and self._hooks.has_hook(name)

    def list_models(self) -> Any:
        self._health.require_ready()
        if self._hooks is not None and self._has_hook("get_supported_llm_models"):
            return self._hooks.list_models()
        return self._completions.list_models()
