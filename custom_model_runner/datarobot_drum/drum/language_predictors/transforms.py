"""Transform samples, and their target if it was sent; the number of rows must not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from datarobot_drum.drum.artifact_predictors.features import is_sparse
from datarobot_drum.drum.exceptions import PredictionError, UnprocessableInput
from datarobot_drum.drum.language_predictors.hook_errors import prediction_errors
from datarobot_drum.drum.language_predictors.hook_results import describe, to_table
from datarobot_drum.drum.tabular import read_table
from datarobot_drum.drum.tabular.lazy_pandas import pd

if TYPE_CHECKING:
    from datarobot_drum.drum.language_predictors.hooks import Hook
    from datarobot_drum.drum.tabular.payload import StructuredPayload

_HOOK = "The hook transform"
_MODEL = "The model"
_NUMERIC_KINDS = "biuf"
_MAX_DENSE_TARGET = 10_000_000
"""Maximum cells of a Matrix Market target, which a small file may declare."""


@dataclass(frozen=True, eq=False)
class Transformed:
    """Checked, transformed samples.

    ``features`` is a DataFrame, or a numeric ``scipy.sparse`` CSR matrix with the columns ``names``. Names are text and
    may repeat. ``target`` is None if no target was sent.
    """

    features: Any
    names: tuple[str, ...]
    target: pd.DataFrame | None = None

    @property
    def is_sparse(self) -> bool:
        return not isinstance(self.features, pd.DataFrame)


def read_target(payload: StructuredPayload, rows: int | None) -> pd.DataFrame:
    """Read the target of the samples as a dense table.

    Raises:
        UnprocessableInput: it is no table, or its number of rows differs from that of the samples.
    """
    try:
        table = read_table(payload)
    except UnprocessableInput as error:
        raise UnprocessableInput(f"The target `y` cannot be read. {error.message}") from error
    if rows is not None and len(table) != rows:
        raise UnprocessableInput(
            f'The target `y` has {len(table)} rows for {rows} rows of `X`. An empty line is no row: write "" for a '
            "missing value."
        )
    if is_sparse(table) and table.size > _MAX_DENSE_TARGET:
        raise UnprocessableInput(f"The target `y` has more than {_MAX_DENSE_TARGET} cells: send it as csv.")
    dense = table.sparse.to_dense() if is_sparse(table) else table
    return dense.set_axis([str(name) for name in dense.columns], axis=1)


def call_transform(
    hook: Hook | None, model: Any, data: Any, target: pd.DataFrame | None, *, is_unmodified: bool, rows: int | None
) -> Transformed:
    """Transform with the hook, else with the model, which is a ``SchemaTransformer`` then.

    A hook receives a target of one column as a Series. It returns the samples, which keeps the target unchanged, or a
    pair of samples and target.

    Args:
        is_unmodified: no hook has changed the samples, so missing columns are the client's error.
        rows: the number of samples, None if unknown.

    Raises:
        UnprocessableInput: the samples lack columns.
        PredictionError: model code raised, or its result has a wrong type or number of rows.
        DrumHTTPError: model code chose the response.
    """
    names: Sequence[Any] | None = None
    with prediction_errors(*([UnprocessableInput] if is_unmodified and hook is None else [])):
        if hook is None:
            features, names = model.transform(data)
            new_target = None
        else:
            features, new_target = _as_pair(hook(data, model, y=_as_series(target)))
    source = _MODEL if hook is None else _HOOK
    transformed = _as_features(features, names, source)
    _check_rows(transformed.features.shape[0], rows if target is None else len(target), source, "X")
    if target is None:
        return transformed
    if new_target is not None:
        target = _as_target(new_target, list(target.columns))
        _check_rows(len(target), transformed.features.shape[0], source, "y")
    return Transformed(transformed.features, transformed.names, target)


def _as_series(target: pd.DataFrame | None) -> Any:
    return target.iloc[:, 0].copy() if target is not None and len(target.columns) == 1 else target


def _as_pair(returned: Any) -> tuple[Any, Any]:
    if not isinstance(returned, tuple):
        return returned, None
    if len(returned) != 2:
        raise PredictionError(f"{_HOOK} returned a tuple of {len(returned)}: it must return X, or X and y.")
    return returned[0], returned[1]


def _as_features(features: Any, names: Sequence[Any] | None, source: str) -> Transformed:
    """Convert the samples to a DataFrame or a CSR matrix."""
    if isinstance(features, pd.DataFrame) and _is_mostly_zeros(features):
        names, features = list(features.columns), _to_coo(features)
    if hasattr(features, "tocsr"):
        return _as_matrix(features, names, source)
    table = _as_table(features, names, source, "X")
    return Transformed(table, tuple(table.columns))


def _is_mostly_zeros(table: pd.DataFrame) -> bool:
    """Return True if all columns are sparse with zero, rather than a missing value, as fill value."""
    return is_sparse(table) and all(dtype.fill_value == 0 for dtype in table.dtypes)


def _to_coo(table: pd.DataFrame) -> Any:
    try:
        return table.sparse.to_coo()
    except ImportError as error:
        raise PredictionError(
            "Sparse output needs SciPy: install datarobot-drum[scikit-learn] where the server runs."
        ) from error


def _as_matrix(matrix: Any, names: Sequence[Any] | None, source: str) -> Transformed:
    if len(matrix.shape) != 2 or matrix.dtype.kind not in _NUMERIC_KINDS:
        raise PredictionError(
            f"{source} returned a sparse X of type {matrix.dtype} and shape {matrix.shape}: it must have rows and "
            "columns of real numbers."
        )
    return Transformed(matrix.tocsr(), tuple(_column_names(matrix.shape[1], names, source)))


def _as_table(table: Any, names: Sequence[Any] | None, source: str, what: str) -> pd.DataFrame:
    """Return a DataFrame with text column names that shares the cells of ``table``."""
    table = _to_known_table(table)
    if isinstance(table, pd.Series):
        table = table.to_frame(name=table.name if table.name is not None else (names or ["0"])[0])
    if isinstance(table, pd.DataFrame):
        return table.set_axis(_column_names(len(table.columns), list(table.columns), source), axis=1)
    if isinstance(table, np.ndarray) and table.ndim in (1, 2):
        table = table[:, None] if table.ndim == 1 else table
        return pd.DataFrame(table, columns=_column_names(table.shape[1], names, source))
    raise PredictionError(
        f"{source} returned {describe(table)} as {what}: it must be a DataFrame, or an array or "
        "sparse matrix of rows and columns."
    )


def _to_known_table(table: Any) -> Any:
    """Convert tables of other libraries, dicts of columns and lists of rows; return anything else as it is."""
    if isinstance(table, pd.DataFrame | pd.Series | np.ndarray):
        return table
    converted = to_table(table)
    return table if converted is None else converted


def _column_names(width: int, names: Sequence[Any] | None, source: str) -> list[str]:
    """Return the column names as text; unnamed columns are numbered from 0."""
    if not width:
        raise PredictionError(f"{source} returned a table without columns.")
    if names is None or len(names) != width:
        names = range(width)
    return [str(name) for name in names]


def _as_target(target: Any, names: list[Any]) -> pd.DataFrame:
    """Convert the target of a hook to a dense table; an unnamed one keeps the column names that were sent."""
    if hasattr(target, "toarray"):
        target = target.toarray()
    elif isinstance(target, list):
        target = np.asarray(target, dtype=object)
    elif isinstance(target, pd.DataFrame) and is_sparse(target):
        target = target.sparse.to_dense()
    return _as_table(target, names, _HOOK, "y")


def _check_rows(found: int, expected: int | None, source: str, what: str) -> None:
    if expected is not None and found != expected:
        raise PredictionError(f"{source} returned {found} rows of {what} for {expected} rows of input.")
