"""Read Matrix Market files as sparse samples.

``scipy.io.mmread`` is not safe for untrusted files. Up to SciPy 1.17 an ``array`` file with more values
than declared, or a dimension of zero, crashes the process.
"""

import csv
from typing import Any

import numpy as np
import pandas as pd

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular.decoded_text import DecodedText
from datarobot_drum.drum.tabular.exact_floats import EXACT_FLOATS
from datarobot_drum.drum.tabular.matrix_market_header import MatrixHeader, read_header
from datarobot_drum.drum.tabular.payload import StructuredPayload
from datarobot_drum.drum.tabular.table_limits import check_width

try:
    from scipy import sparse
except ImportError:
    sparse = None


def read_sparse_frame(payload: StructuredPayload) -> pd.DataFrame:
    """Read the samples into a DataFrame of sparse columns.

    A Matrix Market file has no column names. They are the integers 0, 1, 2 ..., which scikit-learn does not treat as
    feature names.

    Raises:
        UnprocessableInput: the payload is no such matrix, or SciPy is not installed.
    """
    frame = pd.DataFrame.sparse.from_spmatrix(_read(payload, is_frame=True))
    return _with_zeros(frame) if pd.isna(frame.dtypes.iloc[0].fill_value) else frame


def _with_zeros(frame: pd.DataFrame) -> pd.DataFrame:
    """Set the fill value to zero: pandas 3.0 reads unstored entries as missing (pandas issue 59212)."""
    arrays = {name: column.array.copy() for name, column in frame.items()}
    for array in arrays.values():
        array.fill_value = array.dtype.subtype.type(0)
    return pd.DataFrame(arrays)


def read_csr(payload: StructuredPayload) -> Any:
    """Read the samples into a ``scipy.sparse.csr_matrix``; duplicate entries are added.

    Raises:
        UnprocessableInput: as ``read_sparse_frame``.
    """
    return _read(payload)


def _read(payload: StructuredPayload, *, is_frame: bool = False) -> Any:
    if sparse is None:
        raise UnprocessableInput(
            "Matrix Market input needs SciPy: install datarobot-drum[scikit-learn] where the server runs."
        )
    header = read_header(payload.file, payload.limits)
    if is_frame:  # pandas takes time and memory for each column
        check_width(header.columns, payload.limits)
    rows, columns, values = _read_entries(payload, header)
    rows, columns, values = _expand_symmetry(header, rows, columns, values)
    return sparse.coo_matrix((values, (rows, columns)), shape=(header.rows, header.columns)).tocsr()


def _read_entries(payload: StructuredPayload, header: MatrixHeader) -> tuple[Any, Any, Any]:
    """Return zero-based row indices, column indices and values of the stored entries."""
    if not header.entries:
        _require_blank(payload)
        return (np.empty(0, dtype=np.int64),) * 2 + (np.empty(0, dtype=header.dtype),)
    if not header.is_coordinate:
        (values,) = _read_columns(payload, header, [header.dtype])
        return (*_entry_indices(header), values)
    dtypes = ["int64", "int64"] + ([header.dtype] if header.field != "pattern" else [])
    rows, columns, *values = _read_columns(payload, header, dtypes)
    _require_inside(rows, header.rows, "row")
    _require_inside(columns, header.columns, "column")
    return rows - 1, columns - 1, values[0] if values else np.ones(len(rows))


def _require_blank(payload: StructuredPayload) -> None:
    if payload.file.read(64).strip():
        raise UnprocessableInput("The Matrix Market file declares 0 entries but holds some.")


def _read_columns(payload: StructuredPayload, header: MatrixHeader, dtypes: list[str]) -> list[Any]:
    """Read the body into arrays; every line must have exactly one number per column, of its type."""
    text = DecodedText(payload.file, "utf-8")
    try:
        frame = pd.read_csv(
            text,  # type: ignore[arg-type, unused-ignore]
            sep=r"\s+",
            header=None,
            # Integers are inferred and then checked: with an integer dtype pandas warns about other values.
            dtype={position: dtype for position, dtype in enumerate(dtypes) if dtype == "float64"},
            keep_default_na=False,
            na_values={len(dtypes) - 1: ["nan", "NaN", "NAN"]} if dtypes[-1] == "float64" else None,
            quoting=csv.QUOTE_NONE,
            low_memory=False,
            compression=None,
            **EXACT_FLOATS,
        )
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise _malformed(header, len(dtypes)) from error
    columns = [frame[column].to_numpy() for column in frame.columns]
    if len(columns) != len(dtypes) or not all(map(_has_dtype, columns, dtypes)):
        raise _malformed(header, len(dtypes))
    if len(frame) != header.entries:
        raise UnprocessableInput(f"The Matrix Market file declares {header.entries} entries but holds {len(frame)}.")
    return [column.astype(dtype) for column, dtype in zip(columns, dtypes, strict=True)]


def _has_dtype(column: Any, dtype: str) -> bool:
    """Return True if the values have the type, or are integers that fit it."""
    if dtype == "float64" or column.dtype.kind not in "iu":
        return bool(column.dtype == dtype)
    return bool(column.min() >= 0) if dtype == "uint64" else bool(column.dtype == dtype)


def _malformed(header: MatrixHeader, width: int) -> UnprocessableInput:
    return UnprocessableInput(
        f"The Matrix Market file is malformed: each {header.layout} line must hold {width} {header.field} number(s)."
    )


def _require_inside(indices: Any, size: int, axis: str) -> None:
    if indices.min() < 1 or indices.max() > size:
        raise UnprocessableInput(f"The Matrix Market file has a {axis} index outside 1 to {size}.")


def _entry_indices(header: MatrixHeader) -> tuple[Any, Any]:
    """Return row and column indices of the values of an array file, which stores them column by column."""
    if header.symmetry == "general":
        columns, rows = np.divmod(np.arange(header.entries), header.rows)
        return rows, columns
    columns, rows = np.triu_indices(header.rows, k=1 if header.symmetry == "skew-symmetric" else 0)
    return rows, columns


def _expand_symmetry(header: MatrixHeader, rows: Any, columns: Any, values: Any) -> tuple[Any, Any, Any]:
    """Add the mirrored half of a symmetric matrix."""
    if header.symmetry == "general":
        return rows, columns, values
    sign = -1 if header.symmetry == "skew-symmetric" else 1
    off_diagonal = rows != columns
    mirrored = values[off_diagonal] * values.dtype.type(sign)
    return (
        np.concatenate([rows, columns[off_diagonal]]),
        np.concatenate([columns, rows[off_diagonal]]),
        np.concatenate([values, mirrored]),
    )
