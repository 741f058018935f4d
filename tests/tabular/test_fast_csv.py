"""The fast csv reader equals ``pandas.read_csv`` bit for bit, or returns None."""

import io
import string

import numpy as np
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.csv_reader import read_csv_with_pandas
from datarobot_drum.drum.tabular.fast_csv import MAX_ORJSON_BYTES, read_numeric_csv
from datarobot_drum.drum.tabular.numeric_table import NumericTable
from tests.cases import each_case

NUMBERS = (
    st.integers(-(10**19), 10**19).map(str)
    | st.integers(-100, 100).map(str)
    | st.floats().map(repr)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: f"{number:.6g}")
    | st.decimals(-(10**6), 10**6, places=25).map(str)
    | st.from_regex(r"[+-]?[0-9]{0,25}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
)
ODD = st.sampled_from(["", " 1", "1 ", "NA", "nan", "-0", "-0.0", "0x1", "1_0", "True", '"1"', "01", "1.", ".5", "∞"])
CELLS = NUMBERS | ODD
NAMES = st.text(string.ascii_letters + " ._-é日1\"'", max_size=5) | st.text(max_size=3)


def payload_of(body: bytes, charset: str = "utf-8") -> StructuredPayload:
    return StructuredPayload(io.BytesIO(body), PayloadFormat.CSV, charset)


def assert_same(body: bytes) -> NumericTable | None:
    """Compare the fast reader's table, if any, with the frame that pandas reads."""
    table = read_numeric_csv(payload_of(body))
    if table is not None:
        frame = read_csv_with_pandas(payload_of(body))
        fast = table.to_frame()
        pd.testing.assert_frame_equal(fast, frame, check_exact=True)
        assert fast.columns.equals(frame.columns) and fast.columns.dtype == frame.columns.dtype
        assert_same_array(table.to_array(), frame.to_numpy())
        assert table.shape == frame.shape
    return table


def assert_same_array(found: np.ndarray, expected: np.ndarray) -> None:
    """Compare bits (so 0 differs from -0), type and memory order."""
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()
    assert found.flags.f_contiguous and expected.flags.f_contiguous


@given(
    names=st.lists(NAMES, min_size=1, max_size=4),
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=4),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    last=st.sampled_from(["", "\n", "\r\n", "\n\n", "\r"]),
)
@example(names=["a"], rows=[["9223372036854775808"]], end="\n", last="")
@example(names=["a", "b"], rows=[["9007199254740993", "0.5"]], end="\n", last="")
@example(names=["a", "b"], rows=[["1", "0.5"], ["9007199254740993", "1"]], end="\n", last="\n")
@example(names=["a"], rows=[["-0"], ["0.5"]], end="\n", last="\n")
@settings(max_examples=150)
def test_fast_csv_equals_pandas_or_returns_none(names: list[str], rows: list[list[str]], end: str, last: str) -> None:
    text = end.join([",".join(names), *(",".join(row) for row in rows)]) + last
    assert_same(text.encode("utf-8", "replace"))


@given(st.data())
@settings(max_examples=100)
def test_fast_csv_equals_pandas_for_numeric_tables(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 4))
    rows = data.draw(st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=1, max_size=5))
    text = "\n".join([",".join("abcd"[:width]), *(",".join(row) for row in rows)])
    assert_same(text.encode())


@given(st.binary(max_size=60) | st.text('ab1,.-\n\r"eE \t', max_size=40).map(str.encode))
def test_fast_csv_equals_pandas_for_any_bytes(body: bytes) -> None:
    try:
        read_csv_with_pandas(payload_of(body))
    except UnprocessableInput:
        assert read_numeric_csv(payload_of(body)) is None
    else:
        assert_same(body)


@each_case(
    "body",
    [
        b"a\n1\n",
        b"a,b\n1,2.5\n-3,4e-5\n",
        b"a,b\r\n1,2\r\n3,4\r\n",
        "ä,日本\n1,2".encode(),
        b" a , b\n0,-1\n",
        b"1,2\n3,4\n",
        b"a,b\n0.1,123456789012345678\n"[:12],
    ],
)
def test_fast_csv_reads_plain_numeric_tables(body: bytes) -> None:
    assert assert_same(body) is not None


@each_case(
    "body",
    [
        b"",
        b"a\n",
        b"a\nx\n",
        b"a\n\n1\n",
        b" \t\n1\n2\n",
        b"a,b\n1\n",
        b"a\n1,2\n",
        b"a,a\n1,2\n",
        b"a,\n1,2\n",
        b'a\n"1"\n',
        b"a\n1]\n",
        b"a\n1e400\n",
        b"a\n01\n",
        b"\xef\xbb\xbfa\n1\n",
        b"\xff\n1\n",
        b"a\n1\r2\n",
        b"a\n" + b"1\n" * MAX_ORJSON_BYTES,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_fast_csv_returns_none_for_other_tables(body: bytes) -> None:
    assert read_numeric_csv(payload_of(body)) is None


@each_case(("charset", "is_fast"), [("UTF-8", True), ("ascii", False), ("latin-1", False), ("utf-16", False)])
def test_fast_csv_reads_utf_8_only(charset: str, is_fast: bool) -> None:
    assert (read_numeric_csv(payload_of(b"a\n1\n", charset)) is not None) is is_fast


def test_selected_columns_equal_those_of_the_frame() -> None:
    body = b"a,b,c\n1,0.5,3\n4,5,6\n"
    table, frame = assert_same(body), read_csv_with_pandas(payload_of(body))
    assert table is not None
    for positions in [(0,), (2, 0), (1,), (2, 1, 0)]:
        found, expected = table.select(positions), frame.iloc[:, list(positions)]
        pd.testing.assert_frame_equal(found.to_frame(), expected, check_exact=True)
        assert_same_array(found.to_array(), np.asfortranarray(expected.to_numpy()))


@each_case("columns", [2, 2500])
def test_what_a_hook_does_to_the_columns_stays_in_its_frame(columns: int) -> None:
    body = ",".join(f"c{column}" for column in range(columns)).encode() + b"\n" + b",".join([b"1"] * columns)
    first = assert_same(body)
    assert first is not None
    first.to_frame().columns.name = "kind"
    assert_same(body)


WIDE_CELLS = {
    "integers": ["1", "-20", "123456789"],
    "fractions": ["1.5", "-2.25", "3.1e7"],
    "both": ["1", "1.5", "-3", "2e-5"],
}
WIDE_NAMES = {
    "different": ["c{}"],
    "equal": ["a"],
    "made equal": ["a", "a.1", "a.2", "b"],
}


def wide_csv(names: str, cells: str, rows: int, columns: int) -> bytes:
    texts, choices = WIDE_NAMES[names], WIDE_CELLS[cells]
    header = ",".join(texts[column % len(texts)].format(column) for column in range(columns))
    lines = [",".join(choices[(column * 7 + row) % len(choices)] for column in range(columns)) for row in range(rows)]
    return "\n".join([header, *lines]).encode()


@each_case("cells", WIDE_CELLS)
@each_case("names", WIDE_NAMES)
def test_fast_csv_reads_wide_tables(cells: str, names: str) -> None:
    assert assert_same(wide_csv(names, cells, rows=2, columns=2500)) is not None


def test_fast_csv_reads_tables_that_are_wide_and_large() -> None:
    body = wide_csv("different", "both", rows=3, columns=15_000)
    assert len(body) > MAX_ORJSON_BYTES
    assert assert_same(body) is not None


def test_fast_csv_leaves_large_tables_of_few_columns_to_pandas() -> None:
    body = b"a,b\n" + b"1,2\n" * MAX_ORJSON_BYTES
    assert read_numeric_csv(payload_of(body)) is None
