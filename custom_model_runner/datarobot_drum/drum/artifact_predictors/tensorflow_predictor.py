"""TensorFlow SavedModel folders: the signature ``serving_default``.

One input takes all columns by position; several inputs of one column each are filled by name. Values are cast to the
type of the input. Output for class labels: the one with "prob" in its name, else the only one of floats; for other
targets the only output. It must end in a sigmoid or softmax, as nothing is applied to it.

Thread safety: one call at a time, as for Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import bind_numbers, require_column_count
from datarobot_drum.drum.artifact_predictors.features import to_matrix
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.input_schema.columns import NUMBER, Column, ColumnType, InputSchema

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

_SIGNATURE = "serving_default"
_TABLE_RANK = 2
_TEXT = Column(ColumnType.TEXT, fill="")
_SCORE_HOOK = "add a custom.py with load_model and score hooks"


class TensorFlowPredictor(ArtifactPredictor):
    name = "tensorflow"
    extensions = ()
    thread_safe = False

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        with artifact_load_errors(path):
            model = tf.saved_model.load(str(path))
            _signature(model)
            return model

    def accepts(self, model: Any) -> bool:
        return hasattr(model, "signatures")

    def input_schema(self, model: Any) -> InputSchema:
        inputs = _inputs(model)
        if len(inputs) == 1:
            ((_, spec),) = inputs.items()
            width = spec.shape[1] if _rank(spec) == _TABLE_RANK else 1
            columns = () if width is None else (_column(spec),) * width
            return InputSchema(columns, rest=_column(spec), accepts_missing=True)
        return InputSchema(tuple(map(_column, inputs.values())), tuple(inputs), accepts_missing=True)

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        inputs, call = _inputs(model), _signature(model)
        wide = [name for name, spec in inputs.items() if _rank(spec) > _TABLE_RANK or _rank(spec) < 1]
        several = [name for name, spec in inputs.items() if _rank(spec) == _TABLE_RANK and spec.shape[1] != 1]
        if wide or (len(inputs) > 1 and several):
            raise ModelLoadError(
                f"The inputs of the SavedModel ({', '.join(wide or several)}) are no columns of a table: {_SCORE_HOOK}."
            )
        name = _output_name(call, settings)
        feed = _feed_function(inputs)
        return bind_numbers(lambda data: call(**feed(data))[name].numpy(), settings)


def _signature(model: Any) -> Any:
    """Return the function that serves.

    Raises:
        ModelLoadError: the model has none of the usual name, and not exactly one other.
    """
    signatures = dict(model.signatures)
    if _SIGNATURE in signatures or len(signatures) == 1:
        return signatures.get(_SIGNATURE) or next(iter(signatures.values()))
    found = ", ".join(sorted(signatures)) or "none"
    raise ModelLoadError(
        f"The SavedModel has no signature {_SIGNATURE} (found: {found}): save it with model.export, or {_SCORE_HOOK}."
    )


def _inputs(model: Any) -> Mapping[str, Any]:
    inputs: Mapping[str, Any] = _signature(model).structured_input_signature[1]
    return inputs


def _rank(spec: Any) -> int:
    return -1 if spec.shape.rank is None else int(spec.shape.rank)


def _column(spec: Any) -> Column:
    return _TEXT if spec.dtype == tf.string else NUMBER


def _feed_function(inputs: Mapping[str, Any]) -> Callable[[Any], dict[str, Any]]:
    """Return a function from the samples to the tensors of all inputs."""
    if len(inputs) == 1:
        ((name, spec),) = inputs.items()
        return lambda data: {name: _tensor(data, spec)}
    return lambda data: {
        name: _tensor(data.iloc[:, [position]], spec) for position, (name, spec) in enumerate(inputs.items())
    }


def _tensor(data: Any, spec: Any) -> Any:
    if spec.dtype == tf.string:
        values = np.asarray(data, dtype=object)
    else:
        values = to_matrix(data, spec.dtype.as_numpy_dtype)
    return tf.constant(values.reshape(-1) if _rank(spec) == 1 else values, dtype=spec.dtype)


def _output_name(call: Any, settings: ModelSettings) -> str:
    outputs: dict[str, Any] = call.structured_outputs
    floats = {name: spec for name, spec in outputs.items() if spec.dtype.is_floating}
    named = [name for name in floats if "prob" in name.lower()] if settings.target_type.has_class_labels else []
    chosen = named or list(floats)
    if len(chosen) != 1:
        raise ModelLoadError(
            f"The SavedModel has the outputs {', '.join(outputs) or 'none'}, of which one must be the prediction: "
            f"export one, or {_SCORE_HOOK}."
        )
    shape = floats[chosen[0]].shape
    if shape.rank == _TABLE_RANK and shape[1] is not None:
        require_column_count(int(shape[1]), settings)
    return chosen[0]
