"""Read and check the header of a Matrix Market file before its body is read.

Rules: R. F. Boisvert, R. Pozo, K. A. Remington, "The Matrix Market Exchange Formats", NISTIR 5935 (1996).
"""

import io
from dataclasses import dataclass

import numpy as np

from datarobot_drum.drum.exceptions import EmptyTable, UnprocessableInput
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits
from datarobot_drum.drum.tabular.content_detection import HEAD_BYTES, describe_content
from datarobot_drum.drum.tabular.payload import BinaryFile
from datarobot_drum.drum.tabular.table_limits import check_lines

ENTRIES_FACTOR = 10
"""Rows that a file may declare for each of its entries, beyond the limit of empty rows."""

_BANNER = "%%matrixmarket"
_LINE_LIMIT = 64 * 1024
MAX_EMPTY_COLUMNS = 1_000_000
"""Columns of a file without rows that is a table; of more, their names would take too much memory."""

_COMMENT, _LINE_END = ord("%"), ord("\n")
_IS_TEXT = np.array([not chr(byte).isspace() for byte in range(256)])
_SIZE_DIGITS = 18
_DTYPES = {
    "real": "float64",
    "double": "float64",
    "integer": "int64",
    "unsigned-integer": "uint64",
    "pattern": "float64",
}
_SYMMETRIES = ("general", "symmetric", "skew-symmetric", "hermitian")


@dataclass(frozen=True)
class MatrixHeader:
    """The fields of the banner and the size line. ``entries`` is the number of values or triples in the body."""

    layout: str
    field: str
    symmetry: str
    rows: int
    columns: int
    entries: int

    @property
    def dtype(self) -> str:
        return _DTYPES[self.field]

    @property
    def is_coordinate(self) -> bool:
        return self.layout == "coordinate"


def read_header(file: BinaryFile, limits: InputLimits = UNLIMITED) -> MatrixHeader:
    """Read up to the size line; the file position is then at the body.

    Raises:
        UnprocessableInput: no Matrix Market file, an unsupported kind, impossible sizes, or sizes over the limits.
    """
    file.seek(0)
    layout, field, symmetry = _read_banner(file)
    rows, columns, *declared = _read_sizes(file, layout, limits.max_matrix_comments)
    entries = declared[0] if declared else _stored_entries(rows, columns, symmetry)
    header = MatrixHeader(layout, field, symmetry, rows, columns, entries)
    _check_shape(header)
    _check_length(header, file)
    _check_limits(header, limits)
    return header


def _read_banner(file: BinaryFile) -> tuple[str, str, str]:
    words = _read_line(file).lower().split()
    if len(words) != 5 or words[:2] != [_BANNER, "matrix"]:
        file.seek(0)
        found = describe_content(file.read(HEAD_BYTES))
        raise UnprocessableInput(
            f"The body is no Matrix Market file: its first line is not '%%MatrixMarket matrix ...'. {found}".rstrip()
        )
    _, _, layout, field, symmetry = words
    if layout not in ("coordinate", "array"):
        raise UnprocessableInput(f"The Matrix Market format {layout[:40]!r} is neither 'coordinate' nor 'array'.")
    if field not in _DTYPES or (field == "pattern" and layout == "array"):
        raise UnprocessableInput(
            f"The Matrix Market field {field[:40]!r} is not supported: send real or integer values."
        )
    if symmetry not in _SYMMETRIES:
        raise UnprocessableInput(f"The Matrix Market symmetry {symmetry[:40]!r} is not known.")
    if symmetry == "skew-symmetric" and field in ("pattern", "unsigned-integer"):
        raise UnprocessableInput(f"A skew-symmetric Matrix Market file needs signed values, not {field}.")
    return layout, field, symmetry


def _read_sizes(file: BinaryFile, layout: str, max_comments: int) -> tuple[int, ...]:
    """Return the numbers of the first line that is neither a comment nor blank."""
    start = file.tell()
    line = "%"
    while line.startswith("%") or line.isspace():
        _skip_comments(file)
        if max_comments and file.tell() - start > max_comments:
            raise UnprocessableInput(
                f"The Matrix Market file has more than {max_comments} bytes of comments (DRUM_MAX_MATRIX_COMMENTS)."
            )
        line = _read_line(file)
    words = line.split()
    expected = 3 if layout == "coordinate" else 2
    if len(words) != expected or not all(_is_size(word) for word in words):
        raise UnprocessableInput(
            f"The Matrix Market size line must hold {expected} whole numbers, not {line.strip()[:60]!r}."
        )
    return tuple(int(word) for word in words)


def _skip_comments(file: BinaryFile) -> None:
    """Move behind the comments and blank lines of a block: one by one, they take a hundred times as long."""
    start = file.tell()
    block = np.frombuffer(file.read(_LINE_LIMIT), np.uint8)
    line_starts = np.concatenate(([0], np.flatnonzero(block == _LINE_END) + 1))
    length = line_starts[-1]
    if length:
        first = line_starts[:-1]
        has_text = np.logical_or.reduceat(_IS_TEXT[block[:length]], first)
        others = np.flatnonzero(has_text & (block[first] != _COMMENT))
        length = first[others[0]] if len(others) else length
    file.seek(start + int(length))


def _is_size(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= _SIZE_DIGITS


def _read_line(file: BinaryFile) -> str:
    return file.readline(_LINE_LIMIT).decode("latin-1")


def _stored_entries(rows: int, columns: int, symmetry: str) -> int:
    """Return the number of values of an array file, which stores only the lower triangle of a symmetric matrix."""
    if symmetry == "general":
        return rows * columns
    return rows * (rows - 1) // 2 if symmetry == "skew-symmetric" else rows * (rows + 1) // 2


def _check_shape(header: MatrixHeader) -> None:
    rows, columns = header.rows, header.columns
    if columns and not rows and columns <= MAX_EMPTY_COLUMNS:
        raise EmptyTable(
            f"The Matrix Market file has no rows: its shape is 0 x {columns}.", list(map(str, range(columns)))
        )
    if not rows or not columns:
        raise UnprocessableInput(f"The Matrix Market file has no data: its shape is {rows} x {columns}.")
    if header.symmetry != "general" and rows != columns:
        raise UnprocessableInput(f"A {header.symmetry} matrix must be square, not {rows} x {columns}.")


def _check_limits(header: MatrixHeader, limits: InputLimits) -> None:
    rows, columns = header.rows, header.columns
    if limits.max_matrix_columns and columns > limits.max_matrix_columns:
        raise UnprocessableInput(
            f"The Matrix Market file declares {columns} columns; at most {limits.max_matrix_columns} are accepted "
            "(DRUM_MAX_MATRIX_COLUMNS)."
        )
    if limits.max_empty_rows and rows > limits.max_empty_rows + ENTRIES_FACTOR * header.entries:
        raise UnprocessableInput(
            f"The Matrix Market file declares {rows} rows for {header.entries} entries; at most "
            f"{limits.max_empty_rows} more than {ENTRIES_FACTOR} for each entry are accepted (DRUM_MAX_EMPTY_ROWS)."
        )
    check_lines(rows, limits.max_rows)


def _check_length(header: MatrixHeader, file: BinaryFile) -> None:
    """Reject more entries than fit into the body, at two bytes per number, before memory is allocated for them."""
    start = file.tell()
    file.seek(0, io.SEEK_END)
    length = file.tell() - start
    file.seek(start)
    shortest = 2 * (2 if header.is_coordinate else 1)
    if length + 1 < shortest * header.entries:
        raise UnprocessableInput(
            f"The Matrix Market file declares {header.entries} entries but ends after {length} bytes of them."
        )
