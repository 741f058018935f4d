"""Convert a table to the exact types of a signature of MLflow, which MLflow itself does only where no value changes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datarobot_drum.drum.artifact_predictors.features import is_sparse
from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular.lazy_pandas import pd

if TYPE_CHECKING:
    from datarobot_drum.drum.artifact_predictors.mlflow_signature import Field

_INTEGERS = {"integer": np.int32, "long": np.int64}
_FLOATS = {"float": np.float32, "double": np.float64}


def to_signature_types(data: Any, fields: Sequence[Field]) -> Any:
    """Return the samples with the types of the signature; the input schema has selected the columns.

    An optional column of whole numbers that has no value is left out, since such a type has no missing value.

    Raises:
        UnprocessableInput: a whole number is a fraction or missing, or a cell is no Base64.
    """
    if not fields:
        return data
    frame = _to_frame(data, fields)
    columns = {}
    for position, field in enumerate(fields):
        series = frame.iloc[:, position]
        if field.type in _INTEGERS and not field.is_required and series.isna().all():
            continue
        columns[frame.columns[position]] = _convert(series, field.type)
    return pd.DataFrame(columns, index=frame.index)


def _to_frame(data: Any, fields: Sequence[Field]) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return data.sparse.to_dense() if is_sparse(data) else data
    values = data.toarray() if hasattr(data, "toarray") else np.asarray(data)
    names = [field.name for field in fields]
    return pd.DataFrame(values, columns=names if None not in names else None)


def _convert(series: pd.Series[Any], kind: str) -> pd.Series[Any]:
    if kind in _INTEGERS:
        return _to_integers(series, _INTEGERS[kind])
    if kind in _FLOATS:
        return series.astype(_FLOATS[kind])
    if kind == "binary":
        return series.map(_decoder(series), na_action="ignore").astype(object)
    return series


def _to_integers(series: pd.Series[Any], dtype: Any) -> pd.Series[Any]:
    values = series.to_numpy()
    with np.errstate(invalid="ignore", over="ignore"):
        whole = values.astype(dtype)
    if not np.array_equal(whole, values):
        row = int(np.argmax(whole != values))
        raise UnprocessableInput(
            f"The model takes whole numbers in the column {series.name}, and row {row + 1} has none: {values[row]}."
        )
    return pd.Series(whole, index=series.index)


def _decoder(series: pd.Series[Any]) -> Callable[[Any], bytes]:
    def decode(cell: Any) -> bytes:
        try:
            return base64.b64decode(cell, validate=True)
        except (TypeError, ValueError, binascii.Error) as error:
            raise UnprocessableInput(f"The column {series.name} holds binary values: write them as Base64.") from error

    return decode
