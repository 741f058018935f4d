"""``inputSchema`` of model-metadata.yaml: the types of columns by name, declared by the owner of a model.

A value is a type (``zip: text``), or a mapping with ``type`` and, for a category, ``categories`` in the order of the
model's codes, or for a text, ``missing``: the text that the training table had for a missing cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.input_schema.columns import TEXT, Column, ColumnType
from datarobot_drum.drum.settings.model_metadata import FILE_NAME
from datarobot_drum.drum.tabular.lazy_pandas import pd

if TYPE_CHECKING:
    import pandas

KEY = "inputSchema"
_TYPES = tuple(kind.value for kind in ColumnType)
_KEYS = ("type", "categories", "missing")


def read_input_schema(metadata: Mapping[str, Any] | None) -> dict[str, Column]:
    """Return the declared columns by name.

    Raises:
        StartupError: the declaration is malformed; the message names the column.
    """
    document = (metadata or {}).get(KEY)
    if document is None:
        return {}
    if not isinstance(document, Mapping):
        raise StartupError(f"{KEY} in {FILE_NAME} must be a mapping of column names to types.")
    return {str(name): _read_column(str(name), value) for name, value in document.items()}


def _read_column(name: str, value: Any) -> Column:
    details = value if isinstance(value, Mapping) else {"type": value}
    kind, categories, missing = (details.get(key) for key in _KEYS)
    if kind not in _TYPES or set(details) - set(_KEYS):
        raise StartupError(
            f"{KEY}.{name} in {FILE_NAME} must be one of {', '.join(_TYPES)}, or a mapping of {', '.join(_KEYS)}."
        )
    if missing is not None and (kind != ColumnType.TEXT.value or not isinstance(missing, str)):
        raise StartupError(f"{KEY}.{name}.missing in {FILE_NAME} must be a text, for the type text.")
    if categories is None:
        is_text = kind in (ColumnType.CATEGORY.value, ColumnType.TEXT.value)
        return replace(TEXT, fill=missing) if is_text else Column(ColumnType(kind))
    if kind != ColumnType.CATEGORY.value or not isinstance(categories, list) or not categories:
        raise StartupError(f"{KEY}.{name} in {FILE_NAME} must have a list of categories and the type category.")
    return Column(ColumnType.CATEGORY, categories=pd.Index(categories))


def declare_columns(frame: pandas.DataFrame) -> dict[str, str]:
    """Return the document that declares the types of a training table."""
    return {str(name): _declared_type(frame[name]) for name in frame.columns}


def _declared_type(series: pandas.Series[Any]) -> str:
    if pd.api.types.is_bool_dtype(series.dtype) or pd.api.types.infer_dtype(series, skipna=True) == "boolean":
        return ColumnType.BOOLEAN.value
    if pd.api.types.is_numeric_dtype(series.dtype):
        kind = ColumnType.ANY if series.isna().all() else ColumnType.NUMBER
        return kind.value
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return ColumnType.DATE.value
    return ColumnType.TEXT.value
