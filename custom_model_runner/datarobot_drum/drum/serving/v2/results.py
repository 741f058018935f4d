"""Make output tensors of predictions and of transformed samples.

``predict`` has the predictions: values, or labels of a classifier. ``predict_proba`` has the probabilities of its
labels. Further columns of the model are outputs of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.language_predictors.json_values import encode, to_plain
from datarobot_drum.drum.serving.v2.datatypes import BOOL, BYTES, FP64, INT64, NUMBER_TYPES
from datarobot_drum.drum.serving.v2.messages import OutputTensor, TensorMetadata
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.table_limits import check_density

if TYPE_CHECKING:
    from datarobot_drum.drum.language_predictors.transforms import Transformed
    from datarobot_drum.drum.settings.build import ModelSettings

PREDICT, PROBABILITIES = "predict", "predict_proba"
DEFAULT_THRESHOLD = 0.5

_TEXT = {"content_type": "str"}
_NUMBERS = {"content_type": "np"}


def prediction_outputs(
    predictions: Predictions, model: ModelSettings, class_labels: tuple[str, ...]
) -> tuple[OutputTensor, ...]:
    """Return the outputs of a prediction.

    Args:
        class_labels: of the model, the negative one of two first; empty for other models.

    Raises:
        PredictionError: the model returned a value that no tensor can carry.
    """
    if model.target_type.has_class_labels:
        outputs = _class_outputs(predictions, model, class_labels or predictions.columns)
    else:
        outputs = [_values_output(predictions)]
    if predictions.extra is not None:
        outputs += _columns(predictions.extra, {output.name for output in outputs})
    return tuple(outputs)


def _class_outputs(predictions: Predictions, model: ModelSettings, labels: tuple[str, ...]) -> list[OutputTensor]:
    values, columns = predictions.values, predictions.columns
    named = {**_NUMBERS, "labels": _json_list(columns)}
    probabilities = OutputTensor(PROBABILITIES, FP64, values.shape, values, named)
    threshold = model.deployment.threshold if model.deployment is not None else DEFAULT_THRESHOLD
    if model.target_type is TargetType.MULTILABEL:
        applies = values >= threshold
        return [OutputTensor(PREDICT, BOOL, applies.shape, applies, named), probabilities]
    if model.target_type is TargetType.BINARY:
        negative, positive = labels
        is_positive = values[:, columns.index(positive)] >= threshold
        found = np.where(is_positive, positive, negative)
    else:
        found = np.array(columns, dtype=object)[values.argmax(axis=1)]
    return [_text_output(PREDICT, found.astype(object)), probabilities]


def _values_output(predictions: Predictions) -> OutputTensor:
    values = predictions.values
    if values.dtype == object:
        return _text_output(PREDICT, _texts(values[:, 0].tolist()))
    named = {"labels": _json_list(predictions.columns)} if values.shape[1] > 1 else {}
    return OutputTensor(PREDICT, FP64, values.shape, values, {**_NUMBERS, **named})


def _json_list(names: Sequence[str]) -> str:
    """Return names as JSON text: a parameter is no list."""
    return encode(list(names)).decode("utf-8")


def _text_output(name: str, cells: np.ndarray) -> OutputTensor:
    return OutputTensor(name, BYTES, (len(cells), 1), cells, _TEXT)


def _texts(cells: Sequence[Any]) -> np.ndarray:
    """Return cells as texts: what is no text becomes JSON, and a missing cell None."""
    texts = np.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):
        texts[row] = cell if cell is None or isinstance(cell, str) else _text(cell)
    return texts


def _text(cell: Any) -> str | None:
    plain = to_plain(cell)
    return plain if plain is None or isinstance(plain, str) else encode(plain).decode("utf-8")


def transform_outputs(transformed: Transformed) -> tuple[OutputTensor, ...]:
    """Return an output for each column of transformed samples.

    Raises:
        UnprocessableInput: the samples are sparse and would be too large.
        PredictionError: the transformer returned a value that no tensor can carry.
    """
    features = transformed.features
    if transformed.is_sparse:
        check_density(features.shape[0] * features.shape[1], features.nnz)
        features = pd.DataFrame(features.toarray(), columns=list(transformed.names))
    return tuple(_columns(features, set()))


def _columns(table: pd.DataFrame, taken: set[str]) -> Iterator[OutputTensor]:
    """Yield an output for each column; a name that is taken gets ``_1``, ``_2`` ..."""
    for position, column in enumerate(table.columns):
        name, count = str(column), 0
        while name in taken:
            count += 1
            name = f"{column}_{count}"
        taken.add(name)
        yield _column(name, table.iloc[:, position])


def _column(name: str, series: Any) -> OutputTensor:
    if isinstance(series.dtype, pd.SparseDtype):
        series = series.sparse.to_dense()
    dtype = series.dtype
    is_complete = not series.isna().any()
    if isinstance(dtype, np.dtype) and dtype.kind == "b":
        return _number_output(name, BOOL, series)
    if isinstance(dtype, np.dtype) and dtype.kind == "i":
        return _number_output(name, INT64, series)
    if isinstance(dtype, np.dtype) and dtype.kind == "u":
        return _number_output(name, "UINT64", series)
    if pd.api.types.is_float_dtype(dtype) or (pd.api.types.is_integer_dtype(dtype) and not is_complete):
        return _number_output(name, FP64, series)
    if pd.api.types.is_integer_dtype(dtype):
        return _number_output(name, INT64, series)
    return _text_output(name, _texts(series.astype(object).where(series.notna(), None).tolist()))


def _number_output(name: str, datatype: str, series: Any) -> OutputTensor:
    missing = {"na_value": np.nan} if datatype == FP64 else {}
    cells = series.to_numpy(dtype=NUMBER_TYPES[datatype].layout, **missing)
    return OutputTensor(name, datatype, (len(cells), 1), cells, _NUMBERS)


def output_metadata(model: ModelSettings, columns: tuple[str, ...]) -> tuple[TensorMetadata, ...]:
    """Return the outputs that every prediction has; those of a transformer are not known.

    Args:
        columns: of the predictions.
    """
    kind = model.target_type
    if not kind.is_structured:
        return ()
    if kind.has_class_labels:
        width = len(columns)
        is_multilabel = kind is TargetType.MULTILABEL
        shape = (-1, width if is_multilabel else 1)
        labels = TensorMetadata(PREDICT, BOOL if is_multilabel else BYTES, shape)
        return labels, TensorMetadata(PROBABILITIES, FP64, (-1, width))
    return (TensorMetadata(PREDICT, BYTES if kind.has_target_column else FP64, (-1, len(columns) or 1)),)
