"""The predictor of a Python model: ``custom.py``, an artifact, or both. It imports no heavy library before ``load``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.artifact_predictors import registry
from datarobot_drum.drum.artifact_predictors.folder_contents import describe_contents
from datarobot_drum.drum.artifact_predictors.registry import (
    list_artifacts,
    list_unnamed_artifacts,
    require_single_artifact,
)
from datarobot_drum.drum.exceptions import ModelLoadError, PredictionError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.input_schema.columns import InputSchema
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions, StreamChunk, Worker
from datarobot_drum.drum.language_predictors.compilation import compilation_of, compiled_info
from datarobot_drum.drum.language_predictors.custom_module import find_custom_file
from datarobot_drum.drum.language_predictors.import_scope import ImportScope
from datarobot_drum.drum.language_predictors.module_constants import (
    defines_any,
    is_thread_safe,
    read_batch_settings,
    read_max_concurrency,
)
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular.readable_formats import readable_formats
from datarobot_drum.drum.type_schema.requirements import read_type_schema

if TYPE_CHECKING:
    from datarobot_drum.drum.compiled_models.background import Compilation
    from datarobot_drum.drum.language_predictors.embeddings import EmbeddingInput, Embeddings
    from datarobot_drum.drum.language_predictors.python_model import PythonModel
    from datarobot_drum.drum.language_predictors.transforms import Transformed
    from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput, UnstructuredOutput
    from datarobot_drum.drum.settings.build import ModelSettings
    from datarobot_drum.drum.tabular.payload import StructuredPayload

_LOADER = "datarobot_drum.drum.language_predictors.python_model_loader:load_python_model"

_PREDICTING_HOOKS = ("load_model", "score", "score_stream", "score_unstructured", "chat")
"""Hooks with one of which no model folder is loaded."""

_load_lock = threading.Lock()
"""Models load one at a time: each needs its own modules in ``sys.modules`` meanwhile."""


class PythonPredictor(BasePredictor):
    """A Python model: the constructor finds its files, ``load`` reads them.

    Raises:
        ModelLoadError: the folder contains no model or several, or a constant of custom.py is invalid.
        TypeSchemaError: typeSchema of model-metadata.yaml is malformed.
    """

    language = "python"
    supports_batching = True

    def __init__(self, settings: ModelSettings) -> None:
        code_dir = settings.code_dir
        self._settings = settings
        self._custom_file = find_custom_file(code_dir)
        self._artifacts = list_artifacts(code_dir)
        if self._custom_file is None:
            self._artifacts = self._artifacts or list_unnamed_artifacts(code_dir)
            self._require_artifact(code_dir)
        self.thread_safe = (self._custom_file is None or is_thread_safe(self._custom_file)) and all(
            map(registry.is_thread_safe, self._loaded_artifacts())
        )
        if self._custom_file is not None:
            self.max_concurrency = read_max_concurrency(self._custom_file)
            self.max_batch_size, self.batch_wait_ms = read_batch_settings(self._custom_file)
        self._schema = read_type_schema(settings.metadata, is_strict=settings.strict_type_schema)
        folders = [self._custom_file.parent] if self._custom_file else []
        self._scope = ImportScope([*folders, code_dir])
        self._model: PythonModel | None = None

    def _require_artifact(self, code_dir: Path) -> None:
        if require_single_artifact(self._artifacts) is None:
            raise ModelLoadError(
                f"There is no model in {code_dir}: put a custom.py or a model artifact there "
                f"({registry.list_extensions()}).{describe_contents(code_dir)}"
            )

    def _loaded_artifacts(self) -> Sequence[Path]:
        """Return the artifacts that may be loaded: not the model folders that hooks read themselves, if at all."""
        files = [path for path in self._artifacts if not path.is_dir()]
        if self._custom_file is None or files:
            return self._artifacts
        is_transform = self._settings.target_type is TargetType.TRANSFORM
        hooks = (*_PREDICTING_HOOKS, "transform") if is_transform else _PREDICTING_HOOKS
        return () if defines_any(self._custom_file, hooks) else registry.list_model_folders(self._settings.code_dir)

    @property
    def name(self) -> str:
        """The framework that predicts, or ``custom`` for a hook; before ``load``, as far as the files show."""
        if self._model is not None:
            return self._model.name
        return "custom" if self._custom_file else registry.framework_name(self._artifacts[0])

    def load(self) -> None:
        with _load_lock:
            self._scope.open()
            try:
                load = import_from_string(_LOADER)
                model = load(self._settings, self._custom_file, self._artifacts, self._schema)
                self._model = replace(model, schema=self._schema)
            except BaseException:
                self._scope.close()
                raise

    def on_worker_start(self, worker: Worker) -> None:
        """Compile the model in the background."""
        compilation = self._create_compilation()
        if compilation is not None:
            worker.defer_stop(compilation.stop, "stop compiling the model")
            worker.add_thread(compilation.start())

    def compile(self) -> str | None:
        compilation = self._create_compilation()
        return None if compilation is None else compilation.run()

    def _create_compilation(self) -> Compilation | None:
        """Return the compilation of the model; None for a model that runs one call at a time."""
        if not self.thread_safe:
            return None
        is_own = not self.has_hook("load_model") and len(self._artifacts) == 1 and self._artifacts[0].is_file()
        if not is_own:
            return compilation_of(self._loaded, None)
        artifact, policy = self._artifacts[0], self._settings.pickle_policy
        load = partial(registry.load_artifact, artifact, None, policy) if self._custom_file is None else None
        return compilation_of(self._loaded, artifact, load)

    @property
    def compiled(self) -> Mapping[str, Any] | None:
        return None if self._model is None else compiled_info(self._model)

    @property
    def payload_formats(self) -> Mapping[str, str | None]:
        return {} if self._settings.target_type is TargetType.UNSTRUCTURED else readable_formats()

    @property
    def reads_raw_input(self) -> bool:
        return self._model is not None and self._model.reads_raw_input

    @property
    def only_streams(self) -> bool:
        return self._model is not None and self._model.only_streams

    @property
    def predicts_rows(self) -> bool:
        return self.transforms or (self._model is not None and self._model.predicts_rows)

    @property
    def class_labels(self) -> tuple[str, ...]:
        return () if self._model is None else self._model.settings.class_labels

    @property
    def output_columns(self) -> tuple[str, ...]:
        return self._loaded.output_columns

    @property
    def has_prediction_hooks(self) -> bool:
        return self._loaded.has_prediction_hooks

    def read_input(self, payload: StructuredPayload) -> Any:
        return self._loaded.read_input(payload)

    def predict_stream(self, payload: StructuredPayload) -> Iterator[StreamChunk]:
        return self._loaded.predict_stream(payload)

    def predict(self, data: Any) -> Predictions:
        return self._loaded.predict(data)

    def predict_unstructured(self, request: UnstructuredInput) -> UnstructuredOutput:
        return self._loaded.predict_unstructured(request)

    def transform(self, samples: StructuredPayload, target: StructuredPayload | None) -> Transformed:
        return self._loaded.transform(samples, target)

    @property
    def transforms(self) -> bool:
        return self._settings.target_type is TargetType.TRANSFORM

    @property
    def input_schema(self) -> InputSchema:
        return self._loaded.input_schema

    def check_samples(self, data: Any) -> Any:
        return self._loaded.check_samples(data)

    def transform_samples(self, data: Any, target: StructuredPayload | None = None) -> Transformed:
        return self._loaded.transform_samples(data, target)

    @property
    def can_chat(self) -> bool:
        return self._model is not None and self._model.can_chat

    def chat(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        return self._loaded.chat(params, headers)

    @property
    def can_complete(self) -> bool:
        return self._model is not None and self._model.text_hooks.have_any("complete")

    def complete(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        return self._loaded.text_hooks.call("complete", params, headers)

    @property
    def can_embed(self) -> bool:
        return self._model is not None and self._model.text_hooks.have_any("embed")

    def embed(self, request: EmbeddingInput, headers: Mapping[str, str]) -> Embeddings:
        return self._loaded.text_hooks.embed(request, headers)

    @property
    def can_respond(self) -> bool:
        return self._model is not None and self._model.text_hooks.have_any("respond")

    def respond(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        return self._loaded.text_hooks.call("respond", params, headers)

    def count_tokens(self, text: str) -> int | None:
        return self._loaded.text_hooks.count_tokens(text)

    def has_hook(self, name: str) -> bool:
        """Return True if ``custom.py`` defines the hook. Known after ``load``."""
        return self._model is not None and name in self._model.hooks

    def list_models(self) -> Any:
        return self._loaded.list_models()

    def suspend_imports(self) -> None:
        self._scope.suspend()

    def close(self) -> None:
        self._scope.close()

    @property
    def _loaded(self) -> PythonModel:
        if self._model is None:
            raise PredictionError("The model is not loaded.")
        return self._model
