"""A loaded Python model: hooks and an artifact, called in the documented order."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.artifact_predictors import transformers
from datarobot_drum.drum.artifact_predictors.folder_contents import explain_files
from datarobot_drum.drum.artifact_predictors.label_matching import is_order_of_labels
from datarobot_drum.drum.artifact_predictors.model_labels import complete_labels
from datarobot_drum.drum.artifact_predictors.registry import (
    find_predictor,
    list_extensions,
    list_unnamed_artifacts,
    load_artifact,
    require_single_artifact,
)
from datarobot_drum.drum.artifact_predictors.requirements_file import warn_about_other_versions
from datarobot_drum.drum.artifact_predictors.schema_model import SchemaModel
from datarobot_drum.drum.artifact_predictors.transformers import SchemaTransformer
from datarobot_drum.drum.artifact_predictors.versions import warn_about_newer_libraries
from datarobot_drum.drum.exceptions import ModelLoadError, PredictionError, UnprocessableInput
from datarobot_drum.drum.input_schema.columns import ANY, ColumnType, InputSchema
from datarobot_drum.drum.input_schema.conform import conform
from datarobot_drum.drum.input_schema.declaration import read_input_schema, require_fitting_declaration
from datarobot_drum.drum.language_predictors.chat_prompts import explain_prompt_column, first_text, last_prompt
from datarobot_drum.drum.language_predictors.code_location import hook_location
from datarobot_drum.drum.language_predictors.custom_module import import_custom_file
from datarobot_drum.drum.language_predictors.hook_errors import (
    HookIterator,
    InvalidHookReturn,
    load_errors,
    prediction_errors,
    wrap_iterator_errors,
)
from datarobot_drum.drum.language_predictors.hook_results import (
    expected_predictions,
    names_equal,
    names_like,
    score_names,
)
from datarobot_drum.drum.language_predictors.hook_results import to_frame as result_to_frame
from datarobot_drum.drum.language_predictors.hooks import HOOKS, TRANSFORM_HOOKS, Hook, find_hooks
from datarobot_drum.drum.language_predictors.output_checks import check_artifact_output, check_frame, to_frame
from datarobot_drum.drum.language_predictors.transforms import call_transform, read_target
from datarobot_drum.drum.language_predictors.unstructured import call_unstructured
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular import PayloadFormat, read_blocks, read_matrix, read_numeric_or_frame, read_table
from datarobot_drum.drum.tabular.column_hints import list_names
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.type_schema.checks import check_input, check_output, input_stats
from datarobot_drum.drum.type_schema.requirements import read_type_schema

if TYPE_CHECKING:
    from datarobot_drum.drum.artifact_predictors.base import ArtifactModel
    from datarobot_drum.drum.language_predictors.base import Predictions, StreamChunk
    from datarobot_drum.drum.language_predictors.transforms import Transformed
    from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput, UnstructuredOutput
    from datarobot_drum.drum.settings.build import ModelSettings
    from datarobot_drum.drum.tabular.payload import StructuredPayload
    from datarobot_drum.drum.type_schema.requirements import TypeSchema

logger = logging.getLogger(__name__)

_SAMPLE_HOOKS = frozenset({"read_input_data", "transform"})
"""Hooks that change the samples before an artifact gets them."""
_PREDICTION_HOOKS = ("transform", "score", "score_stream", "post_process")

BLOCK_ROWS = 10_000
"""Rows per block of a streamed prediction."""


@dataclass(frozen=True)
class PythonModel:
    """Hooks by name, the loaded model object, and ``artifact`` as its predictor if there is no score hook.

    ``input_schema`` has the types of the columns that the server reads: those that the owner declared and, if no hook
    changes the samples before the artifact gets them, its own.
    ``is_label_order`` is False if the model's own classes are in another order than the labels.
    """

    settings: ModelSettings
    hooks: Mapping[str, Hook]
    model: Any
    artifact: ArtifactModel | None
    name: str
    schema: TypeSchema | None = None
    input_schema: InputSchema = field(default_factory=InputSchema)
    is_label_order: bool = True

    @property
    def reads_raw_input(self) -> bool:
        return "read_input_data" in self.hooks

    @property
    def only_streams(self) -> bool:
        return "score_stream" in self.hooks and "score" not in self.hooks

    @property
    def output_columns(self) -> tuple[str, ...]:
        """The columns of every prediction; those of a transformer are not known."""
        if self.settings.target_type is TargetType.TRANSFORM:
            return ()
        return self.settings.class_labels or self.settings.target_names or (self.settings.value_name,)

    @property
    def has_prediction_hooks(self) -> bool:
        return not self.hooks.keys().isdisjoint(_PREDICTION_HOOKS)

    def read_input(self, payload: StructuredPayload) -> Any:
        """Return the result of the hook ``read_input_data``, else the table, or a matrix if no hook needs a table."""
        return self.check_samples(self._read(payload))

    def check_samples(self, data: Any) -> Any:
        if self.schema is not None:
            check_input(self.schema, data, self._text_positions(data))
        # An artifact converts its samples itself.
        if self.artifact is None and self.input_schema.is_known and type(data) is pd.DataFrame:
            return conform(self.input_schema, data)
        return data

    def _text_positions(self, data: Any) -> Sequence[int]:
        if type(data) is not pd.DataFrame or not self.input_schema.has_text:
            return ()
        columns = self.input_schema.resolve(data.columns)
        return [position for position, column in enumerate(columns) if column.type is ColumnType.TEXT]

    def _read(self, payload: StructuredPayload) -> Any:
        if hook := self.hooks.get("read_input_data"):
            with prediction_errors():
                data = hook(payload.read_bytes())
            if data is None:
                raise InvalidHookReturn(
                    "The hook read_input_data returned None: it must return the samples.", hook.function
                )
            return data
        text = self.input_schema
        is_direct = self.artifact is not None or self.settings.target_type is TargetType.TRANSFORM
        if "transform" in self.hooks or not is_direct:
            return read_table(payload, text)
        if payload.format is PayloadFormat.MTX:
            return read_matrix(payload)
        if self.artifact is not None and self.artifact.accepts_numeric_table:
            return read_numeric_or_frame(payload)
        return read_table(payload, text)

    def predict(self, data: Any) -> Predictions:
        if self.schema is None:
            return self._predict(data)
        stats = input_stats(self.schema, data)
        predictions = self._predict(data)
        check_output(self.schema, stats, predictions.values, predictions.columns)
        return predictions

    def _predict(self, data: Any) -> Predictions:
        rows = _count_rows(data)
        data = self._transform_features(data)
        return (
            self._call_score(data, rows) if self.artifact is None else self._predict_artifact(self.artifact, data, rows)
        )

    def _transform_features(self, data: Any) -> Any:
        hook = self.hooks.get("transform")
        if hook is None:
            return data
        with prediction_errors():
            result = hook(data, self.model)
        return result_to_frame(result, hook, names_like(data), "a pandas DataFrame, or a list of values per row")

    def predict_unstructured(self, request: UnstructuredInput) -> UnstructuredOutput:
        return call_unstructured(self.hooks["score_unstructured"], self.model, request)

    def transform(self, samples: StructuredPayload, target: StructuredPayload | None) -> Transformed:
        return self.transform_samples(self.read_input(samples), target)

    def transform_samples(self, data: Any, target: StructuredPayload | None) -> Transformed:
        stats = input_stats(self.schema, data) if self.schema is not None else None
        rows = _count_rows(data)
        transformed = call_transform(
            self.hooks.get("transform"),
            self.model,
            data,
            None if target is None else read_target(target, rows),
            is_unmodified=not self.reads_raw_input,
            rows=rows,
        )
        if self.schema is not None:
            check_output(self.schema, stats, transformed.features, transformed.names)
        return transformed

    @property
    def can_chat(self) -> bool:
        return self.settings.target_type.may_chat and not self.hooks.keys().isdisjoint(("chat", "score"))

    def chat(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        if "chat" not in self.hooks:
            return self._chat_by_score(last_prompt(params["messages"]))
        with prediction_errors():
            result = self.hooks["chat"](params, self.model, headers=headers)
        return wrap_iterator_errors(result, "chat")

    def _chat_by_score(self, prompt: str) -> str:
        column = self.settings.prompt_column
        samples = self.check_samples(pd.DataFrame({column: [prompt]}))
        try:
            return first_text(self.predict(samples))
        except PredictionError as error:
            if isinstance(error.__cause__, KeyError):
                raise explain_prompt_column(error, column) from error
            raise

    def list_models(self) -> Any:
        hook = self.hooks.get("get_supported_llm_models")
        if hook is None:
            return None
        with prediction_errors():
            return hook(self.model)

    def predict_stream(self, payload: StructuredPayload) -> Iterator[StreamChunk]:
        if "score_stream" in self.hooks:
            yield from self._stream(self.read_input(payload))
        elif self.reads_raw_input:
            yield self.predict(self.read_input(payload))
        else:
            for block in read_blocks(payload, BLOCK_ROWS, self.input_schema):
                yield self.predict(self.check_samples(block))

    def _stream(self, data: Any) -> Iterator[StreamChunk]:
        """Yield the chunks of ``score_stream``: text and bytes unchanged, frames as checked predictions."""
        data = self._transform_features(data)
        with prediction_errors():
            result = self.hooks["score_stream"](data, self.model, **_score_keywords(self.settings))
        chunks = wrap_iterator_errors(result, "score_stream")
        if not isinstance(chunks, HookIterator):
            raise PredictionError(f"The hook score_stream returned a {type(result).__name__}: it must be a generator.")
        with closing(chunks):
            for chunk in chunks:
                yield chunk if isinstance(chunk, str | bytes) else self._check_block(chunk)

    def _check_block(self, chunk: Any) -> Predictions:
        frame = self._to_predictions_frame(chunk, self.hooks["score_stream"])
        predictions = check_frame(frame, self.settings, None, "score_stream")
        if self.schema is not None:
            check_output(self.schema, None, predictions.values, predictions.columns)
        return predictions

    def _call_score(self, data: Any, rows: int | None) -> Predictions:
        if "score" not in self.hooks:
            route = "/predictionsStream/" if "score_stream" in self.hooks else "/chat/completions/"
            raise UnprocessableInput(f"This model has no score hook: use {route}.")
        hook = self.hooks["score"]
        with prediction_errors():
            result = hook(data, self.model, **_score_keywords(self.settings))
        return self._post_process(self._to_predictions_frame(result, hook), "score", rows)

    def _to_predictions_frame(self, result: Any, hook: Hook) -> pd.DataFrame:
        settings = self.settings
        return result_to_frame(
            result,
            hook,
            score_names(settings, is_label_order=self.is_label_order),
            expected_predictions(settings),
            with_list_cells=settings.target_type is TargetType.GEO_POINT,
        )

    def _predict_artifact(self, artifact: ArtifactModel, data: Any, rows: int | None) -> Predictions:
        if not hasattr(data, "shape"):
            raise PredictionError(
                f"The hook read_input_data returned a {type(data).__name__}: without a score hook it must return a "
                "DataFrame."
            )
        # Input errors are the client's only if no hook changed the input.
        is_unmodified = not _SAMPLE_HOOKS & self.hooks.keys()
        with prediction_errors(*([UnprocessableInput] if is_unmodified else [])):
            output = artifact.predict(data)
        if "post_process" not in self.hooks:
            return check_artifact_output(output, self.settings, rows)
        frame = to_frame(output, self.settings)
        targets = tuple(frame.columns) if self.settings.target_type is TargetType.REGRESSION else ()
        return self._post_process(frame, self.name, rows, targets if len(targets) > 1 else ())

    def _post_process(
        self, frame: pd.DataFrame, source: str, rows: int | None, targets: tuple[str, ...] = ()
    ) -> Predictions:
        if hook := self.hooks.get("post_process"):
            source, columns = "post_process", list(frame.columns)
            with prediction_errors():
                result = hook(frame, self.model)
            frame = result_to_frame(result, hook, names_equal(columns), "a pandas DataFrame of the same shape")
        return check_frame(frame, self.settings, rows, source, targets)


def load_python_model(settings: ModelSettings, custom_file: Path | None, artifacts: Sequence[Path]) -> PythonModel:
    """Import ``custom.py``, call ``init``, load the model, and select what predicts.

    Raises:
        ModelLoadError: a step fails, or nothing predicts.
    """
    code_dir = settings.code_dir
    warn_about_other_versions(code_dir)
    specs = TRANSFORM_HOOKS if settings.target_type is TargetType.TRANSFORM else HOOKS
    custom = import_custom_file(custom_file, code_dir) if custom_file else None
    hooks = find_hooks(custom, specs, settings.user_secrets) if custom else {}
    if init := hooks.get("init"):
        with load_errors("The hook init failed", code_dir):
            init(code_dir=str(code_dir))
    if "load_model" in hooks:
        for path in artifacts:
            warn_about_newer_libraries(path)
        model = _call_load_model(code_dir, hooks["load_model"])
    else:
        artifact = require_single_artifact(artifacts)
        # Hooks that call an engine receive its settings as the model.
        model = settings.engine if artifact is None else load_artifact(artifact, custom)
        if model is None:
            model = _load_unnamed_artifact(settings, hooks, custom)
    declared = _declared_schema(settings)
    classes = _find_classes(model, hooks, settings)
    settings = complete_labels(settings, classes)
    if settings.deployment is not None:
        settings.deployment.require_labels(settings.class_labels)
    if settings.target_type is TargetType.UNSTRUCTURED:
        _require_hook(hooks, "score_unstructured", settings.target_type)
        return PythonModel(settings, hooks, model, None, "custom")
    if settings.target_type is TargetType.TRANSFORM:
        return _bind_transformer(settings, hooks, model, declared)
    if _hooks_predict(hooks, settings.target_type):
        _log_undeclared_types(declared)
        is_label_order = (
            classes is None
            or not settings.target_type.is_classification
            or is_order_of_labels(classes, settings.class_labels)
        )
        return PythonModel(settings, hooks, model, None, "custom", input_schema=declared, is_label_order=is_label_order)
    return _bind_model(settings, hooks, model, declared)


def _bind_model(settings: ModelSettings, hooks: Mapping[str, Hook], model: Any, declared: InputSchema) -> PythonModel:
    """Bind a model without a score hook to its framework.

    Raises:
        ModelLoadError: no framework predicts with it.
    """
    if model is None:
        raise ModelLoadError(
            "Nothing predicts: add a score hook or a load_model hook to custom.py, or a model artifact "
            f"({list_extensions()}) to the model folder.{explain_files(settings.code_dir)}"
        )
    predictor = find_predictor(model)
    if predictor is None:
        advice = "give --target-type transform, or " if transformers.is_transformer(model) else ""
        raise ModelLoadError(
            f"The model is a {type(model).__name__}, which has no predict method: {advice}add a score hook to "
            "custom.py."
        )
    predictor.require_fitting_target(model, settings)
    schema, read_by = _combine(predictor.input_schema(model), declared, hooks)
    artifact = SchemaModel(predictor.bind(model, settings), schema)
    return PythonModel(settings, hooks, model, artifact, predictor.name, input_schema=read_by)


def _bind_transformer(
    settings: ModelSettings, hooks: Mapping[str, Hook], model: Any, declared: InputSchema
) -> PythonModel:
    name = _transformer_name(hooks, model)
    if "transform" in hooks:
        _log_undeclared_types(declared)
        return PythonModel(settings, hooks, model, None, name, input_schema=declared)
    schema, read_by = _combine(transformers.input_schema_of(model), declared, hooks)
    return PythonModel(settings, hooks, SchemaTransformer(model, schema), None, name, input_schema=read_by)


def _declared_schema(settings: ModelSettings) -> InputSchema:
    """Return the types that the owner declared: by column, and for all columns by the type schema."""
    requirements = read_type_schema(settings.metadata, is_strict=settings.strict_type_schema)
    rest = ANY if requirements is None else requirements.type_of_all_columns
    return InputSchema(declared=read_input_schema(settings.metadata), rest=rest)


def _combine(own: InputSchema, declared: InputSchema, hooks: Mapping[str, Hook]) -> tuple[InputSchema, InputSchema]:
    """Return the schemas that a model's samples are converted to, and that requests are read by.

    Raises:
        ModelLoadError: the declaration contradicts the model.
    """
    if _SAMPLE_HOOKS & hooks.keys():
        _log_undeclared_types(declared)
        return own, declared
    require_fitting_declaration(own, declared.declared)
    schema = own.declare(declared.declared, declared.rest)
    _log_unknown_types(schema)
    return schema, schema


def _log_unknown_types(schema: InputSchema) -> None:
    """Warn once of columns whose types depend on the cells of a request."""
    if unknown := schema.unknown:
        logger.warning(
            "The model does not show the types of these columns, so pandas.read_csv infers them from the rows of each "
            "request: %s. Declare them under inputSchema in model-metadata.yaml, for example %r: text.",
            list_names(unknown),
            unknown[0],
        )
    elif not schema.is_known:
        _log_undeclared_types(schema)
    if notes := schema.notes:
        logger.warning(
            "The model does not fully show the types of these columns: %s. Declare them under inputSchema in "
            "model-metadata.yaml: a number as `name: number`, categories in the order of training as "
            "`name: {type: category, categories: [first, second]}`.",
            list_names(notes),
        )


def _log_undeclared_types(declared: InputSchema) -> None:
    """Log once that no column has a known type."""
    if not declared.is_known:
        logger.info(
            "The types of the model's columns are not known, so pandas.read_csv infers them from the rows of each "
            "request. Declare them under inputSchema in model-metadata.yaml, for example zip: text."
        )


def _hooks_predict(hooks: Mapping[str, Hook], target_type: TargetType) -> bool:
    """Return True if the hooks need no model of ours."""
    if target_type in (TargetType.UNSTRUCTURED, TargetType.TRANSFORM):
        return target_type is TargetType.UNSTRUCTURED or "transform" in hooks
    return "score" in hooks or "score_stream" in hooks or ("chat" in hooks and target_type.may_chat)


def _load_unnamed_artifact(settings: ModelSettings, hooks: Mapping[str, Hook], custom: ModuleType | None) -> Any:
    """Load the only artifact of an unknown name; None without one, or if the hooks predict and may use it as data."""
    artifacts = list_unnamed_artifacts(settings.code_dir)
    if not _hooks_predict(hooks, settings.target_type):
        artifact = require_single_artifact(artifacts)
        return None if artifact is None else load_artifact(artifact, custom)
    if artifacts:
        logger.info(
            "%s may be a model, but is not loaded, since custom.py predicts: its hooks receive None as the model. "
            "To change that, add a load_model hook.",
            ", ".join(path.name for path in artifacts),
        )
    return None


def _find_classes(model: Any, hooks: Mapping[str, Hook], settings: ModelSettings) -> Sequence[Any] | None:
    """Return the model's own classes if labels are missing, or if a hook may return them as unnamed columns.

    Raises:
        ModelLoadError: the model, which predicts without a hook, is of another kind than the target.
    """
    has_scoring_hook = not hooks.keys().isdisjoint(("score", "score_stream"))
    is_needed = settings.target_type.has_class_labels and (not settings.class_labels or has_scoring_hook)
    predictor = find_predictor(model) if is_needed and model is not None else None
    if predictor is None:
        return None
    if not has_scoring_hook:
        predictor.require_fitting_target(model, settings)
    return predictor.class_names(model)


def _transformer_name(hooks: Mapping[str, Hook], model: Any) -> str:
    """Return the name of what transforms.

    Raises:
        ModelLoadError: nothing transforms.
    """
    if "transform" in hooks:
        return "custom"
    if transformers.is_transformer(model):
        return transformers.NAME
    found = "there is no model" if model is None else f"the model is a {type(model).__name__}, without transform"
    raise ModelLoadError(
        f"Nothing transforms: {found}. Add a transform hook to custom.py, or a fitted transformer (.pkl, .joblib)."
    )


def _require_hook(hooks: Mapping[str, Hook], name: str, target_type: TargetType) -> None:
    if name not in hooks:
        raise ModelLoadError(f"A model of target type {target_type.value} needs the hook {name} in custom.py.")


def _call_load_model(code_dir: Path, hook: Hook) -> Any:
    with load_errors("The hook load_model failed", code_dir):
        model = hook(str(code_dir))
    if model is None:
        location = hook_location(hook.function, code_dir)
        raise ModelLoadError(f"{location}The hook load_model returned None: it must return the model.")
    return model


def _score_keywords(settings: ModelSettings) -> dict[str, Any]:
    """Return the keywords of score hooks, without those that the model does not have."""
    keywords = {
        "positive_class_label": settings.positive_class_label,
        "negative_class_label": settings.negative_class_label,
        "class_labels": list(settings.class_labels) or None,
        "target_name": settings.target_name,
    }
    return {name: value for name, value in keywords.items() if value is not None}


def _count_rows(data: Any) -> int | None:
    """Return the number of samples, None for an input without a length or shape."""
    shape = getattr(data, "shape", None)
    if shape:
        return int(shape[0])
    return len(data) if isinstance(data, list | tuple) else None
