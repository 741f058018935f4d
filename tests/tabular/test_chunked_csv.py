"""Large numeric tables read block by block equal ``pandas.read_csv`` of the whole, bit for bit."""

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload, read_numeric_or_frame, read_table
from datarobot_drum.drum.tabular.chunked_csv import read_chunked_csv
from datarobot_drum.drum.tabular.csv_reader import read_csv_with_pandas
from datarobot_drum.drum.tabular.fast_csv import MIN_CHUNKED_BYTES
from datarobot_drum.drum.tabular.numeric_table import NumericTable
from tests.cases import each_case

WHOLE = st.integers(-100, 100).map(str) | st.integers(-(10**19), 10**20).map(str) | st.sampled_from(["-0", "00", "+7"])
FLOATS = (
    st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.decimals(-(10**6), 10**6, places=25).map(str)
    | st.sampled_from(["-0.0", "1.", ".5", "1e400", "-1E-400", "0.1e1", "123456789012345678901234567890.5"])
    | st.from_regex(r"[+-]?[0-9]{0,25}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
)
GARBAGE = st.text("0123456789.,-+eE\n\r", max_size=6) | st.sampled_from(
    ["NA", "inf", '"1"', " 1", "x", "\0", "é", "1,1"]
)
NAMES = "abcd"


def payload_of(body: bytes) -> StructuredPayload:
    return StructuredPayload(io.BytesIO(body), PayloadFormat.CSV)


def read_in_blocks(body: bytes, size: int) -> NumericTable | None:
    header = body.partition(b"\n")[0]
    names = tuple(header.decode().removesuffix("\r").split(","))
    return read_chunked_csv(io.BytesIO(body), names, len(header) + 1, size)


def assert_same(body: bytes, size: int) -> NumericTable | None:
    """Compare the table read in blocks with the frame that pandas reads."""
    table = read_in_blocks(body, size)
    if table is not None:
        frame = read_csv_with_pandas(payload_of(body))
        assert_same_frame(table.to_frame(), frame)
        assert table.has_missing == bool(frame.isna().to_numpy().any())
    return table


def assert_same_frame(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Compare names, index, types and the bits of each value, so 0 differs from -0."""
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert found.to_numpy().tobytes() == expected.to_numpy().tobytes()
    assert found.to_numpy().flags.f_contiguous


def as_csv(rows: Sequence[Sequence[str]], end: str = "\n", last: str = "") -> bytes:
    return (end.join([",".join(NAMES[: len(rows[0])]), *map(",".join, rows)]) + last).encode()


@given(st.data())
@settings(max_examples=75, deadline=None)
def test_chunked_csv_equals_pandas_for_numeric_tables(data: st.DataObject) -> None:
    kinds = data.draw(
        st.lists(st.sampled_from([WHOLE, FLOATS, WHOLE | FLOATS, WHOLE | st.just("")]), min_size=1, max_size=4)
    )
    rows = data.draw(st.lists(st.tuples(*kinds), min_size=1, max_size=12))
    end, last = data.draw(st.sampled_from(["\n", "\r\n"])), data.draw(st.sampled_from(["", "\n", "\r\n", "\r"]))
    assert_same(as_csv(rows, end, last), data.draw(st.integers(1, 60)))


@given(
    rows=st.lists(st.lists(WHOLE | FLOATS, min_size=2, max_size=2), min_size=1, max_size=8),
    garbage=st.lists(st.tuples(st.integers(0, 7), GARBAGE), max_size=3),
    size=st.integers(1, 40),
)
@example(rows=[["1", "1"], ["1", "0.5"], ["9007199254740993", "1"]], garbage=[], size=1)
@example(rows=[["-0", "1"], ["0.5", "1"]], garbage=[], size=1)
@example(rows=[["99999999999999999999", "1"], ["0.5", "1"]], garbage=[], size=1)
@example(rows=[["18446744073709551615", "1"], ["5", "1"]], garbage=[], size=40)
@example(rows=[["1", "1"]], garbage=[(0, "1,1")], size=40)
@settings(max_examples=100, deadline=None)
def test_chunked_csv_equals_pandas_or_returns_none_for_garbage(
    rows: list[list[str]], garbage: list[tuple[int, str]], size: int
) -> None:
    for position, cell in garbage:
        rows[position % len(rows)][position % 2] = cell
    body = as_csv([NAMES[:2], *rows])[4:]
    try:
        read_csv_with_pandas(payload_of(body))
    except UnprocessableInput:
        assert read_in_blocks(body, size) is None
    else:
        assert_same(body, size)


@each_case(
    ("rows", "dtypes"),
    [
        pytest.param(["1,2", "3,4", "5,6"], "ii", id="integers"),
        pytest.param(["1,2.5", "3,4", "5,6e-3"], "if", id="integers and floats"),
        pytest.param(["1,2", "3,4.5", "5.5,6"], "ff", id="integers first"),
        pytest.param(["1,", ",4", "5,6"], "ff", id="missing values"),
        pytest.param(["9007199254740993,1", "-9223372036854775808,2"], "ii", id="integers beyond floats"),
        pytest.param(["-0.0,1", "0.5,1"], "fi", id="minus zero as a float"),
    ],
)
def test_chunked_csv_reads_numeric_tables(rows: list[str], dtypes: str) -> None:
    for size in (1, 7, 1000):
        table = assert_same("\n".join(["a,b", *rows]).encode(), size)
        assert table is not None
        assert [dtype.kind for dtype in table.to_frame().dtypes] == list(dtypes), size


@each_case(
    "rows",
    [
        b"1,2\n3,x\n",
        b"1,2\n\n3,4\n",
        b"1,2\n3,4,5\n",
        b"1,2,\n",
        b"1,2\r3,4\n",
        b'1,"2"\n',
        b"-0,2\n0.5,2\n",
        b"9007199254740993,2\n1,0.5\n",
        b"18446744073709551615,1\n",
        b"1,2\n-,3\n",
        b"\n" * 100,
        b"1," + b"0" * 2 * 1024 * 1024 + b"2\n",
        b"",
    ],
)
def test_chunked_csv_returns_none_for_other_tables(rows: bytes) -> None:
    for size in (1, 1000):
        assert read_in_blocks(b"a,b\n" + rows, size) is None


def large_body(cells: Sequence[str]) -> bytes:
    """Return a body of two columns, large enough to be read in blocks."""
    rows = "".join(f"{one},{other}\n" for one, other in zip(cells, reversed(cells), strict=True)).encode()
    return b"a,b\n" + rows * (MIN_CHUNKED_BYTES // len(rows) + 1)


def numbers_with_all_digits(count: int) -> list[str]:
    return list(map(repr, np.random.default_rng(0).uniform(-1, 1, count).tolist()))


@each_case("odd", ["", "x", "-0", "9007199254740993"], ids=["gap", "text", "minus zero", "vast"])
def test_large_table_with_an_odd_last_cell_equals_pandas(odd: str) -> None:
    plain = large_body(numbers_with_all_digits(1000))
    for body in (plain, plain + f"1,{odd}\n".encode()):
        expected = read_csv_with_pandas(payload_of(body))
        assert_same_frame_or_text(read_table(payload_of(body)), expected)
        found = read_numeric_or_frame(payload_of(body))
        has_an_array = body is plain or odd in ("-0", "9007199254740993")
        assert isinstance(found, NumericTable) is has_an_array
        assert_same_frame_or_text(found.to_frame() if isinstance(found, NumericTable) else found, expected)


def assert_same_frame_or_text(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@each_case(
    ("cells", "is_array"),
    [
        (["0.5", "1", "2"], True),
        (["1", "2", "3"], True),
        (["0.5", "", "2"], False),
        (["0.5", "x", "2"], False),
        (["True", "False", "True"], False),
    ],
)
def test_medium_table_is_numeric_only_if_every_cell_is_a_number(cells: list[str], is_array: bool) -> None:
    """pandas reads tables between the two limits as a whole."""
    body = large_body(cells)[: MIN_CHUNKED_BYTES // 20].rpartition(b"\n")[0]
    found, expected = read_numeric_or_frame(payload_of(body)), read_csv_with_pandas(payload_of(body))
    assert isinstance(found, NumericTable) is is_array
    assert_same_frame_or_text(found.to_frame() if isinstance(found, NumericTable) else found, expected)
