"""Csv payloads are read into a table, or rejected with the reason."""

import csv
import io
import threading
from contextlib import suppress
from tempfile import SpooledTemporaryFile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload, read_table
from datarobot_drum.drum.tabular.decoded_text import DecodedText
from tests.cases import each_case


def read(content: bytes, charset: str = "utf-8") -> pd.DataFrame:
    return read_table(StructuredPayload(io.BytesIO(content), PayloadFormat.CSV, charset))


@each_case(
    ("content", "columns", "rows"),
    [
        pytest.param(b"a,b\n1,2\n", ["a", "b"], [[1, 2]], id="plain"),
        pytest.param(b"a,b\n1,2", ["a", "b"], [[1, 2]], id="no newline at the end"),
        pytest.param(b"a,b\r\n1,2\r\n", ["a", "b"], [[1, 2]], id="CRLF"),
        pytest.param(b"a,b\r1,2\r", ["a", "b"], [[1, 2]], id="CR"),
        pytest.param(b'\xef\xbb\xbf"a,b",c\n1,2\n', ["a,b", "c"], [[1, 2]], id="BOM before a quote"),
        pytest.param(b'a,b\n"x\ny","say ""hi"""\n', ["a", "b"], [["x\ny", 'say "hi"']], id="quotes"),
        pytest.param(b'"a\nb",c\n1,2\n', ["a\nb", "c"], [[1, 2]], id="newline in a name"),
        pytest.param(b"a,a,a\n1,2,3\n", ["a", "a.1", "a.2"], [[1, 2, 3]], id="duplicate names"),
        pytest.param("größe,名前\n1,ß\n".encode(), ["größe", "名前"], [[1, "ß"]], id="unicode"),
        pytest.param(b"a\n1\n2\n", ["a"], [[1], [2]], id="one column"),
        pytest.param(b",\n1,2\n", ["Unnamed: 0", "Unnamed: 1"], [[1, 2]], id="no names"),
    ],
)
def test_csv_variants_are_read(content: bytes, columns: list[str], rows: list[list[object]]) -> None:
    frame = read(content)
    assert list(frame.columns) == columns
    assert frame.to_numpy().tolist() == rows


@each_case("charset", ["latin-1", "ISO-8859-1", "cp1252", "utf-16", "UTF8", "utf-8-sig", "shift_jis"])
def test_charset_is_decoded(charset: str) -> None:
    text = "名\nテ\n" if charset == "shift_jis" else "é\nü\n"
    frame = read(text.encode(charset), charset)
    assert [*frame.columns, *frame.iloc[:, 0]] == text.split()


@each_case("content", [',0"0\r\r\t"--0"-.\n-" \t -', "a\r\r b\r\r\r\t\r \r1\r\r"], ids=["quotes", "blanks"])
def test_lone_carriage_returns_do_not_exhaust_memory(content: str) -> None:
    with suppress(UnprocessableInput):
        read(content.encode())


def test_line_end_may_be_split_between_two_chunks() -> None:
    text = DecodedText(io.BytesIO(b"a\r\nb\rc\r"), "utf-8")
    assert "".join(iter(lambda: text.read(1), "")) == "a\r\nb\nc\n"


def test_missing_values_follow_pandas() -> None:
    frame = read(b"a,b,c\n,NA,nan\n1\n")
    assert frame.isna().to_numpy().tolist() == [[True, True, True], [False, True, True]]


def test_numbers_are_read_bit_for_bit() -> None:
    numbers = np.random.default_rng(0).uniform(size=1000) * 10.0 ** np.random.default_rng(1).integers(-200, 200, 1000)
    frame = read(pd.DataFrame({"a": numbers}).to_csv(index=False).encode())
    assert frame["a"].to_numpy().tobytes() == numbers.tobytes()


def test_integers_beyond_64_bits_keep_their_digits() -> None:
    assert str(read(b"a\n99999999999999999999\n")["a"][0]) == "9" * 20


def test_five_thousand_columns_are_read() -> None:
    header = ",".join(f"column {i}" for i in range(5000))
    assert read(f"{header}\n{'1,' * 4999}1\n".encode()).shape == (1, 5000)


def test_mixed_types_in_one_column_raise_no_warning() -> None:
    assert len(read(b"a\n" + b"1\n" * 300_000 + b"x\n")) == 300_001


@each_case(
    ("content", "reason"),
    [
        pytest.param(b"", "empty", id="nothing"),
        pytest.param(b"\n \n\n", "empty", id="blank lines"),
        pytest.param(b"a,b\n", "no data rows", id="header only"),
        pytest.param(b"a\n\xff\n", "not utf-8 text", id="undecodable"),
        pytest.param(b"a\n\xc3", "not utf-8 text", id="cut in a character"),
        pytest.param(b"a\n1\x002\n", "NUL", id="NUL"),
        pytest.param(b'a\n"1\n2\n', "EOF inside string", id="open quote"),
        pytest.param(b"a,b\n1,2\n3,4,5\n", "Expected 2 fields in line 3, saw 3", id="a long row"),
        pytest.param(b"a,b\n0,1,2\n1,3,4\n", "saw 3", id="long rows that count from zero"),
        pytest.param(b"a,b\n\n0,1,2", "saw 3", id="a long row after a blank line"),
        pytest.param(b'"a\n,",b\r\n0,1,2\r\n', "saw 3", id="a long row after a quoted header"),
        pytest.param(b"a,b\r0,1,2\r", "saw 3", id="a long row after CR"),
        pytest.param(b"a,b\n1,2,\n3,4,\n", "saw 3", id="a comma after each row"),
        pytest.param(b"a\n" + b"0," + b"x" * 300_000 + b"\n", "saw 2", id="a long row beyond the first chunk"),
    ],
)
def test_invalid_csv_is_rejected_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(UnprocessableInput, match=reason):
        read(content)


@each_case(
    "charset",
    [
        *("nope", "hex", "rot13", "idna", "utf-7", "unicode_escape", "undefined"),
        *("", "no\0pe", "\ud800", "x" * 10_000),
    ],
)
def test_unknown_charset_is_rejected(charset: str) -> None:
    with pytest.raises(UnprocessableInput, match="charset") as rejected:
        read(b"a\n1\n", charset)
    assert len(rejected.value.message) < 400


@given(content=st.binary(max_size=300), charset=st.sampled_from(["utf-8", "latin-1", "utf-16", "ascii"]))
@settings(max_examples=75, deadline=None)
def test_any_bytes_are_read_or_rejected(content: bytes, charset: str) -> None:
    try:
        assert len(read(content, charset)) > 0
    except UnprocessableInput as rejected:
        assert rejected.message


@given(content=st.text(alphabet=',"\r\n \t0a.\0-é', max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_punctuation_is_read_or_rejected(content: str) -> None:
    try:
        frame = read(content.encode())
    except UnprocessableInput:
        return
    assert isinstance(frame.index, pd.RangeIndex)


@given(rows=st.lists(st.lists(st.sampled_from(["0", "1", "x", "a b", 'q"', "c,d", "e\nf"]), max_size=4), max_size=4))
@settings(max_examples=75, deadline=None)
def test_no_field_is_lost(rows: list[list[str]]) -> None:
    """Compare with Python's csv module: the table has every field, or the body is rejected."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["h1", "h2"], *rows])
    filled = [row for row in rows if row]
    try:
        frame = read(text.getvalue().encode())
    except UnprocessableInput:
        assert not filled or max(len(row) for row in filled) > 2
        return
    assert [[str(cell) for cell in row if not pd.isna(cell)] for row in frame.astype(object).to_numpy()] == [
        [cell if cell not in "01" else _as_read(frame, position, cell) for position, cell in enumerate(row)]
        for row in filled
    ]


def _as_read(frame: pd.DataFrame, position: int, cell: str) -> str:
    return f"{cell}.0" if frame.dtypes.iloc[position] == "float64" else cell


@each_case("max_size", [10, 10**6], ids=["on disk", "in memory"])
def test_spooled_file_is_rewound_and_stays_open(max_size: int) -> None:
    with SpooledTemporaryFile(max_size=max_size) as file:
        file.write(b"a,b\n" + b"1,2\n" * 1000)
        payload = StructuredPayload(file, PayloadFormat.CSV)
        assert len(read_table(payload)) == 1000
        assert len(read_table(payload)) == 1000
        assert len(payload.read_bytes()) == 4004


def test_threads_read_concurrently() -> None:
    sizes: list[int] = []
    content = b"a,b\n" + b"1,x\n" * 20_000
    threads = [threading.Thread(target=lambda: sizes.append(len(read(content)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [20_000] * 8
