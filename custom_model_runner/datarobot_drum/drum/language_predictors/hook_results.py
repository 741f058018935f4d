"""Convert what a hook returns to a DataFrame where its meaning is plain.

Accepted are a DataFrame or Series of any library with ``to_pandas``, a dict of columns, a list of dicts, and one value
or one list of values per row: a list, tuple, array, tensor or sparse matrix. A lone scalar is rejected even for one
row, since a batch has no such form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datarobot_drum.drum.language_predictors.hook_errors import InvalidHookReturn, prediction_errors
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular.lazy_pandas import pd

if TYPE_CHECKING:
    from datarobot_drum.drum.language_predictors.hooks import Hook
    from datarobot_drum.drum.settings.build import ModelSettings

Names = Callable[[int], Sequence[Any] | None]
"""Returns the names of so many unnamed columns; None if such a number of columns has no plain meaning."""


def to_frame(result: Any, hook: Hook, names: Names, expected: str, *, with_list_cells: bool = False) -> pd.DataFrame:
    """Return the result of a hook as a DataFrame; a DataFrame is returned as it is.

    Args:
        names: of unnamed columns.
        expected: completes the error "it must return ...".
        with_list_cells: a list of lists is one column of lists.

    Raises:
        InvalidHookReturn: the result is no table, or its columns have no plain names.
    """
    if isinstance(result, pd.DataFrame):
        return result
    with prediction_errors():
        table = to_table(result, with_list_cells=with_list_cells)
    if isinstance(table, pd.Series):
        table = table.to_frame() if table.name is not None else table.to_frame(0).set_axis([None], axis=1)
    if isinstance(table, pd.DataFrame) and table.columns.tolist() != [None]:
        return table
    columns = None if table is None else names(table.shape[1])
    if columns is None:
        raise InvalidHookReturn(
            f"The hook {hook.spec.name} returned {describe(result)}: it must return {expected}.", hook.function
        )
    if isinstance(table, pd.DataFrame):
        return table.set_axis(list(columns), axis=1)
    return pd.DataFrame(table, columns=list(columns))


def score_names(settings: ModelSettings, *, is_label_order: bool) -> Names:
    """Return the function that names the unnamed columns of predictions.

    Args:
        is_label_order: the model's own classes, if it has any, are in the order of the labels. Otherwise the columns
            of an array could be in either order.
    """
    labels, target_names = settings.class_labels, settings.target_names

    def names(width: int) -> Sequence[str] | None:
        if settings.target_type.has_class_labels:
            if width == 1 and settings.target_type is TargetType.BINARY:
                return [str(settings.positive_class_label)]
            return labels if width == len(labels) and is_label_order else None
        if width == 1:
            return [settings.value_name]
        return target_names if width == len(target_names) else None

    return names


def expected_predictions(settings: ModelSettings) -> str:
    """Return what a hook must return, for an error message."""
    if settings.target_type is TargetType.BINARY:
        return (
            "a pandas DataFrame with a column per class label, or one probability of "
            f"{settings.positive_class_label!r} per row"
        )
    if settings.target_type.has_class_labels:
        return "a pandas DataFrame with a column per class label"
    if settings.target_type is TargetType.REGRESSION:
        return "a pandas DataFrame, or one number per row; several need targetNames in model-metadata.yaml"
    return "a pandas DataFrame, or one value per row"


def names_like(data: Any) -> Names:
    """Return the function that names as many columns as ``data`` has like them, and numbers any others."""
    columns = list(getattr(data, "columns", ()))
    return lambda width: columns if width == len(columns) else range(width)


def names_equal(columns: Sequence[Any]) -> Names:
    """Return the function that only names as many columns as there are names."""
    return lambda width: columns if width == len(columns) else None


def describe(result: Any) -> str:
    """Describe a wrong result by its type, and its shape or size."""
    if result is None:
        return "None"
    kind = type(result).__name__
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    shape = getattr(result, "shape", None)
    if isinstance(shape, tuple):
        return f"{article} {kind} of shape {shape}"
    if isinstance(result, list | tuple) and result:
        return f"{article} {kind} of {len(result)} items ({type(result[0]).__name__} first)"
    if isinstance(result, list | tuple | Mapping | set | frozenset):
        return f"{article} {kind} of {len(result)} items"
    return f"{article} {kind}"


def to_table(result: Any, *, with_list_cells: bool = False) -> Any:
    """Return a DataFrame, a Series, an array of two dimensions, or None for anything else."""
    if callable(getattr(result, "to_pandas", None)):
        result = result.to_pandas()
    if isinstance(result, pd.DataFrame | pd.Series):
        return result
    if isinstance(result, Mapping):
        return _table_of_columns(result)
    if callable(getattr(result, "toarray", None)):
        result = result.toarray()
    elif callable(getattr(result, "detach", None)):
        result = result.detach().cpu()
    if isinstance(result, list | tuple):
        return _table_of_rows(result, with_list_cells=with_list_cells)
    if not hasattr(result, "__array__"):
        return None
    values = np.asarray(result)
    if values.ndim == 2 and with_list_cells and values.shape[1] > 1:
        return pd.Series(list(values.tolist()), dtype=object)
    return pd.Series(values) if values.ndim == 1 else values if values.ndim == 2 else None


def _table_of_columns(columns: Mapping[Any, Any]) -> Any:
    values = [_to_column(column) for column in columns.values()]
    if not values or any(column is None for column in values) or len({len(column) for column in values}) > 1:
        return None
    return pd.DataFrame(dict(zip(columns, values, strict=True)))


def _to_column(column: Any) -> Any:
    """Return a column without an index, by which pandas would align it; None for a scalar or a table."""
    if isinstance(column, pd.Series):
        return column.array
    if isinstance(column, list | tuple):
        return list(column)
    if callable(getattr(column, "detach", None)):
        column = column.detach().cpu()
    values = np.asarray(column) if hasattr(column, "__array__") else None
    return values if values is not None and values.ndim == 1 else None


def _table_of_rows(rows: Sequence[Any], *, with_list_cells: bool) -> Any:
    if rows and all(isinstance(row, Mapping) for row in rows):
        return pd.DataFrame(list(rows))
    if all(_is_scalar(row) for row in rows):
        cells = [row.item() if isinstance(row, np.ndarray) else row for row in rows]
        return pd.Series(cells, dtype=None if rows else object)
    if isinstance(rows, tuple):  # a pair of arrays could be two rows or two results
        return None
    if with_list_cells:
        return pd.Series(list(rows), dtype=object)
    cells = [row.tolist() if isinstance(row, np.ndarray) else row for row in rows]
    is_table = all(isinstance(row, list | tuple) and all(map(_is_scalar, row)) for row in cells)
    if not is_table or len({len(row) for row in cells}) > 1:
        return None
    return pd.DataFrame(cells).to_numpy()


def _is_scalar(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 0
    return isinstance(value, str | bytes) or not hasattr(value, "__len__")
