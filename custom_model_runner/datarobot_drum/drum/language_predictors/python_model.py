"""A loaded Python model: hooks and an artifact, called in the documented order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.exceptions import PredictionError, RequestCancelled, UnprocessableInput
from datarobot_drum.drum.input_schema.columns import ColumnType, InputSchema
from datarobot_drum.drum.input_schema.conform import conform
from datarobot_drum.drum.language_predictors.chat_prompts import (
    explain_prompt_column,
    first_text,
    last_prompt,
    require_plain_text,
)
from datarobot_drum.drum.language_predictors.hook_errors import (
    HookIterator,
    InvalidHookReturn,
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
from datarobot_drum.drum.language_predictors.hooks import Hook
from datarobot_drum.drum.language_predictors.output_checks import check_artifact_output, check_frame, to_frame
from datarobot_drum.drum.language_predictors.text_hooks import TextHooks
from datarobot_drum.drum.language_predictors.transforms import call_transform, read_target
from datarobot_drum.drum.language_predictors.unstructured import call_unstructured
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular import PayloadFormat, read_blocks, read_matrix, read_numeric_or_frame, read_table
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.payload import TYPED_FORMATS
from datarobot_drum.drum.tabular.typed_frames import require_values
from datarobot_drum.drum.type_schema.checks import check_input, check_output, input_stats

if TYPE_CHECKING:
    from datarobot_drum.drum.artifact_predictors.base import ArtifactModel
    from datarobot_drum.drum.language_predictors.base import Predictions, StreamChunk
    from datarobot_drum.drum.language_predictors.transforms import Transformed
    from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput, UnstructuredOutput
    from datarobot_drum.drum.settings.build import ModelSettings
    from datarobot_drum.drum.tabular.payload import StructuredPayload
    from datarobot_drum.drum.type_schema.requirements import TypeSchema

SAMPLE_HOOKS = frozenset({"read_input_data", "transform"})
"""Hooks that change the samples before an artifact gets them."""
_PREDICTION_HOOKS = ("transform", "score", "score_stream", "post_process")

_ROUTES_WITHOUT_SCORE = {
    "score_stream": "/predictionsStream/",
    "chat": "/chat/completions/",
    "complete": "/v1/completions",
    "respond": "/v1/responses",
    "embed": "/v1/embeddings",
}
"""The route to use instead of ``/predict/``, by the first hook that the model has."""

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
    def predicts_rows(self) -> bool:
        return self.artifact is not None or not self.hooks.keys().isdisjoint(("score", "score_stream"))

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
        if not self._reads_directly:
            return read_table(payload, text)
        if payload.format is PayloadFormat.MTX:
            return read_matrix(payload)
        if self.artifact is not None and self.artifact.accepts_numeric_table:
            return _with_values(read_numeric_or_frame(payload, text), payload)
        return _with_values(read_table(payload, text), payload)

    @property
    def _reads_directly(self) -> bool:
        """True if the model itself gets the table, not a hook."""
        is_direct = self.artifact is not None or self.settings.target_type is TargetType.TRANSFORM
        return is_direct and "transform" not in self.hooks

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
    def text_hooks(self) -> TextHooks:
        return TextHooks(self.settings.target_type, self.hooks, self.model)

    @property
    def can_chat(self) -> bool:
        return self.text_hooks.have_any("chat", "score")

    def chat(self, params: dict[str, Any], headers: Mapping[str, str]) -> Any:
        if "chat" in self.hooks:
            return self.text_hooks.call("chat", params, headers)
        require_plain_text(params)
        return self._chat_by_score(last_prompt(params["messages"]))

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
                samples = _with_values(block, payload) if self._reads_directly else block
                yield self.predict(self.check_samples(samples))

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
            route = next(path for hook, path in _ROUTES_WITHOUT_SCORE.items() if hook in self.hooks)
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
        is_unmodified = not SAMPLE_HOOKS & self.hooks.keys()
        with prediction_errors(RequestCancelled, *([UnprocessableInput] if is_unmodified else [])):
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


def _score_keywords(settings: ModelSettings) -> dict[str, Any]:
    """Return the keywords of score hooks, without those that the model does not have."""
    keywords = {
        "positive_class_label": settings.positive_class_label,
        "negative_class_label": settings.negative_class_label,
        "class_labels": list(settings.class_labels) or None,
        "target_name": settings.target_name,
    }
    return {name: value for name, value in keywords.items() if value is not None}


def _with_values(data: Any, payload: StructuredPayload) -> Any:
    """Return the samples for a model that takes values; a csv has nothing else."""
    if payload.format in TYPED_FORMATS and isinstance(data, pd.DataFrame):
        require_values(data)
    return data


def _count_rows(data: Any) -> int | None:
    """Return the number of samples, None for an input without a length or shape."""
    shape = getattr(data, "shape", None)
    if shape:
        return int(shape[0])
    return len(data) if isinstance(data, list | tuple) else None
