"""ONNX on the CPU, through ONNX Runtime.

Inputs: see ``onnx_inputs``. Values are cast to the type of the input.

Output for class labels: the map from class to probability (ZipMap), else the output with "prob" in its name, else the
last floating-point output. For other targets: the first numeric output; several columns are several targets. Class
names are read from the graph; without them, column k is the k-th declared label. An outlier detector of scikit-learn
(outputs ``label`` and ``scores``) returns ``-scores``, as the estimator does.

Thread safety: a session may run in several threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import onnxruntime

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import bind_numbers, require_column_count
from datarobot_drum.drum.artifact_predictors.label_matching import as_label, match_labels
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.model_labels import order_classes
from datarobot_drum.drum.artifact_predictors.onnx_graph import Names, class_names, is_regressor_output
from datarobot_drum.drum.artifact_predictors.onnx_inputs import feed_function, input_schema_of
from datarobot_drum.drum.exceptions import ModelLoadError, UnprocessableInput
from datarobot_drum.drum.input_schema.columns import InputSchema
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

_FLOATS = ("tensor(float)", "tensor(double)", "tensor(float16)")
_CLASS_TYPES = ("tensor(int64)", "tensor(string)", "tensor(int32)")
_NUMBERS = (*_FLOATS, "tensor(int64)", "tensor(int32)", "tensor(bool)")
_TABLE_RANK = 2

_OUTLIER_DETECTOR_OUTPUTS = ["label", "scores"]

_class_names: WeakKeyDictionary[Any, tuple[Names, ...]] = WeakKeyDictionary()
"""Class names by session: they are in the file, but the session does not expose them."""

_files: WeakKeyDictionary[Any, Path] = WeakKeyDictionary()
"""The file of each session."""


class OnnxPredictor(ArtifactPredictor):
    name = "onnx"
    extensions = (".onnx",)

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        with artifact_load_errors(path):
            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        _class_names[session], _files[session] = class_names(path), path
        return session

    def accepts(self, model: Any) -> bool:
        return isinstance(model, onnxruntime.InferenceSession)

    def require_fitting_target(self, model: Any, settings: ModelSettings) -> None:
        _require_fitting_outputs(model, settings)

    def class_names(self, model: Any) -> Sequence[Any] | None:
        found = [names for names in _class_names.get(model, ()) if len(names) > 1]
        widths = [tensor.shape[-1] for tensor in model.get_outputs() if tensor.type in _FLOATS and tensor.shape]
        return next((names for names in found if len(names) in widths), next(iter(found), None))

    def input_schema(self, model: Any) -> InputSchema:
        return input_schema_of(model)

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        output = _choose_output(model.get_outputs(), settings)
        run = _run_function(model, output)
        names = _class_names.get(model, ())
        order = _column_order(names, settings)
        read = _read_function(output, names, settings)
        if settings.target_type is TargetType.ANOMALY and _is_outlier_detector(model):
            return bind_numbers(lambda data: -read(run(data)), settings)
        return bind_numbers(lambda data: read(run(data)), settings, order)


def _is_outlier_detector(session: Any) -> bool:
    return [tensor.name for tensor in session.get_outputs()] == _OUTLIER_DETECTOR_OUTPUTS


def _require_fitting_outputs(session: Any, settings: ModelSettings) -> None:
    """Require the outputs of a model of the target's kind, as far as they show it.

    Raises:
        ModelLoadError: another target type fits; the message names it.
    """
    outputs, target_type = session.get_outputs(), settings.target_type
    if _is_outlier_detector(session) and (target_type is TargetType.REGRESSION or target_type.has_class_labels):
        raise ModelLoadError("The ONNX model is an outlier detector: give --target-type anomaly.")
    classes = next((tensor for tensor in outputs if tensor.type in _CLASS_TYPES), None)
    has_probabilities = any("prob" in tensor.name.lower() or tensor.type.startswith("seq(map(") for tensor in outputs)
    if target_type is TargetType.REGRESSION and classes is not None and has_probabilities:
        raise ModelLoadError(
            "The ONNX model is a classifier, with class probabilities: give --target-type binary or multiclass."
        )
    path = _files.get(session)
    if target_type.has_class_labels and len(outputs) == 1 and path and is_regressor_output(path, outputs[0].name):
        raise ModelLoadError(
            "The ONNX model is a regressor and has no class probabilities: give --target-type regression."
        )


def _run_function(session: Any, output: Any) -> Callable[[Any], Any]:
    """Return a function from samples to one output; a model with a fixed batch size runs once per batch."""
    feed, shape = feed_function(session), session.get_inputs()[0].shape
    size = shape[0] if shape and isinstance(shape[0], int) else None

    def run(data: Any) -> Any:
        filled = feed(data)
        if size is None:
            return session.run([output.name], filled)[0]
        if data.shape[0] % size:
            raise UnprocessableInput(f"The model takes {size} rows at a time, not {data.shape[0]}.")
        blocks = [{name: rows[at : at + size] for name, rows in filled.items()} for at in range(0, data.shape[0], size)]
        return np.concatenate([session.run([output.name], block)[0] for block in blocks])

    return run


def _choose_output(outputs: Sequence[Any], settings: ModelSettings) -> Any:
    floats = [tensor for tensor in outputs if tensor.type in _FLOATS]
    numbers = floats or [tensor for tensor in outputs if tensor.type in _NUMBERS]
    if settings.target_type.has_class_labels:
        maps = [tensor for tensor in outputs if tensor.type.startswith("seq(map(")]
        named = [tensor for tensor in floats if "prob" in tensor.name.lower()]
        numbers = maps or named or floats[-1:]
    if not numbers:
        kinds = ", ".join(f"{tensor.name}: {tensor.type}" for tensor in outputs)
        raise ModelLoadError(
            f"The ONNX model has no output that {settings.target_type.value} models need; it has {kinds}."
        )
    if isinstance(columns := (numbers[0].shape or [None])[-1], int) and len(numbers[0].shape) == _TABLE_RANK:
        require_column_count(columns, settings)
    return numbers[0]


def _column_order(names: tuple[Names, ...], settings: ModelSettings) -> tuple[int, ...] | None:
    """Return the column of each declared label, from the class names that match, else from the first of that length."""
    labels = settings.class_labels
    matching = [found for found in names if len(found) == len(labels)]
    for found in matching:
        matches = match_labels(labels, found)
        if len(matches) == len(labels):
            return tuple(matches[label] for label in labels)
    if matching and settings.target_type.is_classification:
        return order_classes(matching[0], settings, numbered=True)
    return None


def _read_function(output: Any, names: tuple[Names, ...], settings: ModelSettings) -> Callable[[Any], Any]:
    """Return a function from the output to an array, with the columns that ``_column_order`` refers to."""
    if not output.type.startswith("seq(map("):
        return lambda output: output
    matching = [found for found in names if len(found) == len(settings.class_labels)]
    if not matching:
        raise ModelLoadError(
            f"The ONNX model predicts other classes than the {len(settings.class_labels)} declared class labels."
        )

    def read(maps: Any) -> np.ndarray:
        rows = [{as_label(key): value for key, value in row.items()} for row in maps]
        return np.array([[row[name] for name in matching[0]] for row in rows])

    return read
