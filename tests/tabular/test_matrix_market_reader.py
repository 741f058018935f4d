"""Matrix Market payloads; SciPy's writer provides well-formed ones."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from datarobot_drum.drum.artifact_predictors.features import to_matrix
from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.settings.limits import UNLIMITED
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload, matrix_market_reader, read_matrix, read_table
from tests.cases import each_case


def payload(content: bytes, **limits: int) -> StructuredPayload:
    return StructuredPayload(io.BytesIO(content), PayloadFormat.MTX, limits=replace(UNLIMITED, **limits))


def read(body: str) -> pd.DataFrame:
    return read_table(payload(f"%%MatrixMarket matrix {body}".encode()))


def written(matrix: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    scipy.io.mmwrite(file, matrix, **options)
    return file.getvalue()


RANDOM = sparse.random(40, 7, density=0.2, random_state=0)


@each_case(
    "matrix",
    [
        pytest.param(RANDOM, id="coordinate"),
        pytest.param(RANDOM.toarray(), id="array"),
        pytest.param((RANDOM * 100).astype("int64"), id="integer"),
        pytest.param(np.array([[1.0, 2.0], [2.0, np.inf]]), id="symmetric array"),
        pytest.param(sparse.coo_matrix([[0, 3.0], [-3.0, 0]]), id="skew-symmetric"),
        pytest.param(sparse.coo_matrix((3, 4)), id="all zero"),
    ],
)
def test_reader_reads_what_scipy_writes(matrix: Any) -> None:
    frame = read_table(payload(written(matrix, precision=17)))
    expected = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
    assert np.array_equal(frame.to_numpy(), expected)
    assert all(isinstance(dtype, pd.SparseDtype) for dtype in frame.dtypes)


def test_columns_are_numbered_from_zero() -> None:
    assert list(read("coordinate real general\n1 3 0\n").columns) == [0, 1, 2]


def test_read_matrix_returns_csr_for_many_columns() -> None:
    matrix = read_matrix(payload(b"%%MatrixMarket matrix coordinate real general\n2 1000000 1\n2 1000000 4.5\n"))
    assert sparse.issparse(matrix)
    assert matrix.format == "csr"
    assert matrix.shape == (2, 1_000_000)
    assert matrix[1, 999_999] == 4.5


@each_case(
    ("body", "rows"),
    [
        pytest.param("coordinate pattern general\n2 2 1\n2 1", [[0, 0], [1, 0]], id="pattern"),
        pytest.param("coordinate real general\n% one\n\n%two\n1 2 1\n\n 1\t2  5\r\n", [[0, 5]], id="comments, blanks"),
        pytest.param("coordinate real general\n1 2 2\n1 1 2\n1 1 3\n", [[5, 0]], id="entries given twice"),
        pytest.param("array real general\n2 2\n1\n2\n3\n4", [[1, 3], [2, 4]], id="array, by column"),
        pytest.param("array real symmetric\n2 2\n1\n2\n3\n", [[1, 2], [2, 3]], id="symmetric array"),
        pytest.param("array integer skew-symmetric\n2 2\n7\n", [[0, -7], [7, 0]], id="skew-symmetric array"),
        pytest.param("COORDINATE Double General\n1 1 1\n1 1 1e2\n", [[100]], id="any case"),
    ],
)
def test_matrix_market_variants_are_read(body: str, rows: list[list[float]]) -> None:
    assert read(body).to_numpy().tolist() == rows


def test_nan_entry_is_read_as_a_value() -> None:
    assert np.isnan(read("coordinate real general\n1 1 1\n1 1 nan\n").to_numpy()).all()


@each_case(
    ("body", "reason"),
    [
        pytest.param("coordinate complex general\n1 1 1\n1 1 1 1\n", "complex", id="complex"),
        pytest.param("vector real general\n1 1\n", "neither", id="not a layout"),
        pytest.param("coordinate real odd\n1 1 1\n1 1 1\n", "odd", id="unknown symmetry"),
        pytest.param("array unsigned-integer skew-symmetric\n2 2\n1\n", "signed", id="unsigned skew-symmetric"),
        pytest.param("coordinate real general\n", "size line", id="no size line"),
        pytest.param("coordinate real general\n2 2\n", "size line", id="short size line"),
        pytest.param("coordinate real general\n-2 3 1\n1 1 1\n", "size line", id="negative size"),
        pytest.param(f"array real general\n{'9' * 5000} 1\n1\n", "size line", id="endless size"),
        pytest.param("array real general\n0 3\n", "no rows", id="no rows"),
        pytest.param("coordinate real general\n3 0 0\n", "no data", id="no columns"),
        pytest.param("array real general\n1000000 1000000\n1\n", "ends after", id="impossible array"),
        pytest.param("coordinate real general\n9 9 99999999\n1 1 1\n", "ends after", id="impossible coordinates"),
        pytest.param("coordinate real symmetric\n2 3 1\n1 1 1\n", "square", id="not square"),
        pytest.param("coordinate real general\n2 3 1\n3 1 1\n", "row index", id="row outside"),
        pytest.param("coordinate real general\n2 3 1\n1 0 1\n", "column index", id="column outside"),
        pytest.param("coordinate real general\n2 3 2\n1 1 1\n     \n", "2 entries but holds 1", id="too few"),
        pytest.param("array real general\n1 2\n1\n2\n3\n", "2 entries but holds 3", id="too many"),
        pytest.param("coordinate real general\n2 3 0\n1 1 1\n", "0 entries but holds some", id="more than none"),
        pytest.param("coordinate real general\n2 3 1\n1 1 x\n", "malformed", id="no number"),
        pytest.param("coordinate real general\n2 3 2\n1 1 1\n1 2\n", "malformed", id="short line"),
        pytest.param("coordinate pattern general\n2 3 1\n1 1 1\n", "malformed", id="long line"),
        pytest.param("coordinate integer general\n2 3 1\n1 1 1.5\n", "malformed", id="fraction"),
        pytest.param(f"coordinate integer general\n2 3 1\n1 1 {'9' * 30}\n", "malformed", id="more than 64 bits"),
        pytest.param("coordinate real general\n2 3 1\n1 1 1\0\n", "NUL", id="NUL"),
    ],
)
def test_invalid_matrix_is_rejected_with_the_reason(body: str, reason: str) -> None:
    with pytest.raises(UnprocessableInput, match=reason):
        read(body)


BANNER = b"%%MatrixMarket matrix coordinate real general\n"


@each_case(
    ("sizes", "limits", "parameter"),
    [
        pytest.param(b"7 1 7", {"max_rows": 6}, "DRUM_MAX_ROWS", id="rows"),
        pytest.param(b"1000 9 7", {"max_empty_rows": 929}, "DRUM_MAX_EMPTY_ROWS", id="empty rows"),
        pytest.param(b"7 9 7", {"max_matrix_columns": 8}, "DRUM_MAX_MATRIX_COLUMNS", id="columns"),
    ],
)
def test_declared_dimensions_are_limited(sizes: bytes, limits: dict[str, int], parameter: str) -> None:
    content = BANNER + sizes + b"\n" + b"1 1 1.5\n" * 7
    one_more = {name: limit + 1 for name, limit in limits.items()}
    for read_payload in (read_table, read_matrix):
        read_payload(payload(content, **one_more))
        with pytest.raises(UnprocessableInput, match=rf"\({parameter}\)"):
            read_payload(payload(content, **limits))


def test_columns_of_a_frame_have_a_limit_of_their_own() -> None:
    content = BANNER + b"1 50001 1\n1 1 1.0\n"
    assert read_matrix(payload(content, max_columns=50_000)).shape == (1, 50_001)
    with pytest.raises(UnprocessableInput, match=r"more than 50000 columns \(DRUM_MAX_COLUMNS\)"):
        read_table(payload(content, max_columns=50_000))


@each_case("read_payload", [read_table, read_matrix])
def test_sparse_table_does_not_become_a_huge_dense_array(read_payload: Callable[[StructuredPayload], Any]) -> None:
    data = read_payload(payload(BANNER + b"1000000 200 1\n1 1 1.0\n"))
    with pytest.raises(UnprocessableInput, match="200000000 cells has 1 entries"):
        to_matrix(data, np.float32)
    assert to_matrix(data[:100], np.float32).shape == (100, 200)


@each_case("line", [b"%\n", b"\n", b" \n", b"\x0b\n", b"% " + b"x" * 1000 + b"\n", b"%" * 100_000])
def test_comments_are_limited(line: bytes) -> None:
    content = BANNER + line * (100_000 // len(line) + 1) + b"\n1 1 1\n1 1 1.0\n"
    with pytest.raises(UnprocessableInput, match=r"more than 65536 bytes of comments \(DRUM_MAX_MATRIX_COMMENTS\)"):
        read_matrix(payload(content, max_matrix_comments=65_536))


@given(st.lists(st.sampled_from(["%", "%%", " ", "\t\r", "\x0b", "", "% 3 3 3", "%" + "x" * 60_000]), max_size=6))
def test_comments_and_blank_lines_are_skipped_wherever_they_are(lines: list[str]) -> None:
    header = "".join(f"{line}\n" for line in lines)
    assert read(f"coordinate real general\n{header} 1 2 1\n1 2 5").shape == (1, 2)


@given(
    rows=st.integers(0, 10**19),
    columns=st.integers(0, 10**19),
    entries=st.integers(0, 10**19),
    layout=st.sampled_from(["coordinate real", "array real", "coordinate pattern", "array integer"]),
    symmetry=st.sampled_from(["general", "symmetric", "skew-symmetric"]),
)
def test_declared_dimensions_take_little_memory(
    rows: int, columns: int, entries: int, layout: str, symmetry: str
) -> None:
    sizes = f"{rows} {columns} {entries}" if layout.startswith("coordinate") else f"{rows} {columns}"
    content = f"%%MatrixMarket matrix {layout} {symmetry}\n{sizes}\n1 1 1\n".encode()
    limits = {"max_empty_rows": 1000, "max_columns": 1000, "max_rows": 10_000, "max_matrix_columns": 2000}
    try:
        frame = read_table(payload(content, **limits))
    except UnprocessableInput:
        return
    assert frame.shape[0] <= 1010 and frame.shape[1] <= 1000


@each_case("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\0\0"], ids=["empty", "csv", "binary"])
def test_other_formats_are_rejected(content: bytes) -> None:
    with pytest.raises(UnprocessableInput, match="no Matrix Market file"):
        read_table(payload(content))


def test_missing_scipy_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_market_reader, "sparse", None)
    with pytest.raises(UnprocessableInput, match=r"datarobot-drum\[scikit-learn\]"):
        read("coordinate real general\n1 1 1\n1 1 1\n")


@given(content=st.binary(max_size=200))
@settings(deadline=None)
def test_random_bytes_raise_unprocessable_input(content: bytes) -> None:
    with pytest.raises(UnprocessableInput):
        read_table(payload(content))


NUMBERS = st.sampled_from(
    ["0", "1", "2", "3", "-1", "1.5", "nan", "1e999", "99999999999", "9223372036854775807", "+1", "a"]
)
LINES = st.lists(NUMBERS, max_size=4).map(" ".join)


@given(
    banner=st.tuples(
        st.sampled_from(["coordinate", "array"]),
        st.sampled_from(["real", "integer", "pattern", "unsigned-integer", "double"]),
        st.sampled_from(["general", "symmetric", "skew-symmetric", "hermitian"]),
    ),
    sizes=st.lists(st.sampled_from("0123"), min_size=2, max_size=3),
    body=st.lists(LINES, max_size=6),
    cut=st.integers(0, 3),
)
@settings(max_examples=100, deadline=None)
def test_any_body_is_read_or_rejected(
    banner: tuple[str, str, str], sizes: list[str], body: list[str], cut: int
) -> None:
    text = "\n".join([f"%%MatrixMarket matrix {' '.join(banner)}", " ".join(sizes), *body, ""])
    try:
        frame = read_table(payload(text.encode()[: len(text) - cut]))
    except UnprocessableInput as rejected:
        assert rejected.message
    else:
        assert frame.shape == (int(sizes[0]), int(sizes[1]))
