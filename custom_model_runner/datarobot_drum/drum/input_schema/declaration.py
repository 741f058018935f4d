"""``inputSchema`` of model-metadata.yaml: the types of columns by name, declared by the owner of a model.

A value is a type (``zip: text``), or a mapping with ``type`` and, for a category, ``categories`` in the order of the
model's codes, or for a text, ``missing``: the text that the training table had for a missing cell.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.exceptions import ModelLoadError, StartupError
from datarobot_drum.drum.input_schema.columns import TEXT, Column, ColumnType, InputSchema
from datarobot_drum.drum.settings.model_metadata import FILE_NAME, INPUT_SCHEMA
from datarobot_drum.drum.tabular.column_hints import list_names
from datarobot_drum.drum.tabular.lazy_pandas import pd

if TYPE_CHECKING:
    import pandas

logger = logging.getLogger(__name__)

_TYPES = tuple(kind.value for kind in ColumnType)
_KEYS = ("type", "categories", "missing")


def read_input_schema(metadata: Mapping[str, Any] | None) -> dict[str, Column]:
    """Return the declared columns by name.

    Raises:
        StartupError: the declaration is malformed; the message names the column.
    """
    document = (metadata or {}).get(INPUT_SCHEMA)
    if document in (None, ""):
        return {}
    if not isinstance(document, Mapping):
        raise StartupError(
            f"{INPUT_SCHEMA} in {FILE_NAME} must be a mapping of column names to types, for example {{zip: text}}."
        )
    return {str(name): _read_column(str(name), value) for name, value in document.items()}


def _read_column(name: str, value: Any) -> Column:
    if not isinstance(value, Mapping):
        return _plain_column(name, value)
    unknown = [str(key) for key in value if key not in _KEYS]
    if unknown or "type" not in value:
        reason = f"has the unknown key {unknown[0]!r}" if unknown else "has no type"
        raise _declaration_error(name, f"{reason}: it has a type, and categories or missing")
    if "missing" in value:
        return _read_missing(name, value)
    if "categories" not in value:
        return _plain_column(name, value["type"])
    if value["type"] != ColumnType.CATEGORY.value:
        raise _declaration_error(name, f"has categories: its type must be {ColumnType.CATEGORY.value}")
    return Column(ColumnType.CATEGORY, categories=_read_categories(name, value["categories"]))


def _read_missing(name: str, value: Mapping[str, Any]) -> Column:
    """Return a text column with the text that its missing cells become."""
    is_text = value["type"] in (ColumnType.TEXT.value, ColumnType.CATEGORY.value)
    if not is_text or "categories" in value or not isinstance(value["missing"], str):
        raise _declaration_error(name, "has missing: it must be a text, for the type text")
    return replace(TEXT, fill=value["missing"])


def _plain_column(name: str, kind: Any) -> Column:
    """Return the column of a type. A category without its categories has no codes, so it is text."""
    if kind not in _TYPES:
        nearest = get_close_matches(str(kind).lower(), _TYPES, n=1)
        hint = f" (did you mean {nearest[0]}?)" if nearest else ""
        raise _declaration_error(name, f"has the type {kind!r}: use {', '.join(_TYPES)}{hint}")
    return TEXT if kind == ColumnType.CATEGORY.value else Column(ColumnType(kind))


def _read_categories(name: str, categories: Any) -> pandas.Index:
    if not isinstance(categories, list) or not categories:
        raise _declaration_error(name, "must have a list of categories, in the order of the model's codes")
    kinds = {_category_kind(value) for value in categories}
    if len(kinds) > 1 or None in kinds:
        raise _declaration_error(
            name, "has categories of several types: all must be text, numbers or booleans; put texts in quotes"
        )
    if len(set(categories)) < len(categories):
        raise _declaration_error(name, "has the same category twice")
    return pd.Index(categories)


def _category_kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else None


def _declaration_error(name: str, reason: str) -> StartupError:
    return StartupError(f"{INPUT_SCHEMA}.{name} in {FILE_NAME} {reason}.")


def require_fitting_declaration(own: InputSchema, declared: Mapping[str, Column]) -> None:
    """Compare the declared columns with those of the model; warn of names that the model does not have.

    Raises:
        ModelLoadError: several columns are declared for a model that takes one column of texts.
    """
    if own.takes_series and len(declared) > 1:
        raise ModelLoadError(
            f"The model takes one column of texts, and {INPUT_SCHEMA} in {FILE_NAME} declares {len(declared)}: "
            f"{list_names(list(declared))}. Declare the one that it takes, or train the model with a ColumnTransformer."
        )
    for name in declared:
        if own.names is not None and name not in own.names:
            nearest = get_close_matches(name, own.names, n=1)
            logger.warning(
                "%s in %s declares the column %r, which the model does not have: %s",
                INPUT_SCHEMA,
                FILE_NAME,
                name,
                f"did you mean {nearest[0]!r}?" if nearest else f"its columns are {list_names(own.names)}.",
            )


def declare_columns(frame: pandas.DataFrame) -> dict[str, Any]:
    """Return the document that declares the types of a training table."""
    return {str(name): _declaration_of(frame.iloc[:, position]) for position, name in enumerate(frame.columns)}


def _declaration_of(series: pandas.Series[Any]) -> Any:
    if isinstance(series.dtype, pd.CategoricalDtype):
        return _declaration_of_categories(series.dtype.categories)
    if isinstance(series.dtype, pd.SparseDtype):
        return ColumnType.NUMBER.value
    if series.isna().all():
        return ColumnType.ANY.value
    if pd.api.types.infer_dtype(series, skipna=True) == "boolean":
        return ColumnType.BOOLEAN.value
    if pd.api.types.is_numeric_dtype(series.dtype):
        return ColumnType.NUMBER.value
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return ColumnType.DATE.value
    are_texts = all(isinstance(cell, str) for cell in series.dropna())
    return ColumnType.TEXT.value if are_texts else ColumnType.ANY.value


def _declaration_of_categories(categories: pandas.Index) -> Any:
    values = categories.tolist()
    kinds = {_category_kind(value) for value in values}
    if len(kinds) != 1 or None in kinds:
        return ColumnType.ANY.value
    return {"type": ColumnType.CATEGORY.value, "categories": values}
