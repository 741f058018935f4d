"""The first lines of a csv: fields counted as pandas splits them, equal names as pandas renames them, and limits."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.settings.limits import UNLIMITED
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload, csv_text, read_blocks, read_table
from datarobot_drum.drum.tabular.csv_text import MAX_UNCHECKED_COLUMNS, open_csv_text, unique_names
from datarobot_drum.drum.tabular.fast_csv import MIN_CHUNKED_BYTES
from datarobot_drum.drum.tabular.payload import BinaryFile
from tests.cases import each_case

WIDE = MAX_UNCHECKED_COLUMNS + 1


def payload(content: bytes, charset: str = "utf-8", file: BinaryFile | None = None, **limits: int) -> StructuredPayload:
    return StructuredPayload(file or io.BytesIO(content), PayloadFormat.CSV, charset, replace(UNLIMITED, **limits))


def table_of(*header: str, cell: str = "1", rows: int = 1) -> bytes:
    row = ",".join([cell] * len(header))
    return "\n".join([",".join(header), *[row] * rows, ""]).encode()


class SmallChunks(io.BytesIO):
    """A file that returns few bytes at a time, as a slow disk may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(3 if size != 0 else 0)


@given(st.lists(st.sampled_from(["a", "a.1", "a.2", "a.1.1", "b", "", "Unnamed: 0", "Unnamed: 1", "b.1"]), min_size=1))
def test_equal_and_empty_names_are_those_of_pandas(names: list[str]) -> None:
    header = io.StringIO(",".join(names) + ",z\n")
    assert unique_names([*names, "z"]) == list(pd.read_csv(header).columns)


TEXTS = st.lists(st.text(st.sampled_from('a,"\n\r 1'), max_size=8), min_size=1, max_size=6).map("".join)


@given(TEXTS)
def test_check_of_the_first_lines_changes_no_table(text: str) -> None:
    content = text.encode()
    with every_csv_is_checked():
        found = outcome(payload(content))
    assert found == outcome(payload(content))


@given(TEXTS)
def test_text_does_not_depend_on_the_chunks_of_the_file(text: str) -> None:
    content = text.encode()
    with every_csv_is_checked():
        assert text_outcome(payload(content, file=SmallChunks(content))) == text_outcome(payload(content))


@contextmanager
def every_csv_is_checked() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_text, "MAX_UNCHECKED_BYTES", 0)
        patch.setattr(csv_text, "MAX_UNCHECKED_COLUMNS", 0)
        yield


def outcome(found: StructuredPayload) -> object:
    try:
        return repr(read_table(found).to_dict("split"))
    except UnprocessableInput:
        return None


def text_outcome(found: StructuredPayload) -> object:
    try:
        return "".join(open_csv_text(found))
    except UnprocessableInput as error:
        return error.message


def test_twenty_thousand_equal_names_become_different_ones() -> None:
    table = read_table(payload(table_of(*["a"] * 20_000)))
    assert list(table.columns[:3]) == ["a", "a.1", "a.2"]
    assert (table.columns[-1], table.shape) == ("a.19999", (1, 20_000))


@each_case("name", ["a", "", '"a\nb"', '"a"', "\u00e4"])
@each_case("charset", ["utf-8", "utf-16"])
def test_wide_header_is_counted(name: str, charset: str) -> None:
    content = "\n \n" + table_of(*[name] * WIDE, cell="x").decode()
    encoded = content.encode(charset)
    assert read_table(payload(encoded, charset, max_columns=WIDE)).shape == (1, WIDE)
    with pytest.raises(UnprocessableInput, match=rf"more than {WIDE - 1} columns \(DRUM_MAX_COLUMNS\)"):
        read_table(payload(encoded, charset, max_columns=WIDE - 1))


@each_case("read", [read_table, lambda found: list(read_blocks(found, 10))], ids=["table", "blocks"])
@each_case("cell", ["1", "x", '"x"'])
def test_small_limits_are_exact(read: Callable[[StructuredPayload], object], cell: str) -> None:
    content = table_of("a", "b", "c", cell=cell, rows=25)
    read(payload(content, max_columns=3, max_rows=25))
    with pytest.raises(UnprocessableInput, match="more than 2 columns"):
        read(payload(content, max_columns=2))
    with pytest.raises(UnprocessableInput, match=r"more than 24 rows \(DRUM_MAX_ROWS\)"):
        read(payload(content, max_rows=24))


def test_many_numeric_rows_are_rejected_before_they_are_stored() -> None:
    content = b"a\n" + b"1\n" * 5_000_000
    assert len(content) > MIN_CHUNKED_BYTES
    with pytest.raises(UnprocessableInput, match="DRUM_MAX_ROWS"):
        read_table(payload(content, max_rows=1_000_000))


@each_case("first", ["a", '"a"', "a,b"])
def test_first_row_far_wider_than_the_header_is_rejected(first: str) -> None:
    with pytest.raises(UnprocessableInput, match=r"Expected . fields in line 2, saw 100000"):
        read_table(payload(f"{first}\n{','.join(['x'] * 100_000)}\n".encode()))


@each_case("cell", ["x" * 101, '"' + "x,\n" * 34 + '"'])
def test_large_cell_is_rejected(cell: str) -> None:
    content = table_of("a", "b", cell=cell, rows=2)
    read_table(payload(content, max_cell_size=len(cell)))
    with pytest.raises(UnprocessableInput, match=r"more than 100 characters \(DRUM_MAX_CELL_SIZE\)"):
        read_table(payload(content, max_cell_size=100))


def test_long_header_is_rejected() -> None:
    content = table_of("a" * 300_000, "b" * 300_000)
    read_table(payload(content, max_cell_size=600_001))
    with pytest.raises(UnprocessableInput, match=r"header of the csv is longer .*\(DRUM_MAX_CELL_SIZE\)"):
        read_table(payload(content, max_cell_size=200_000))


def test_quotes_without_end_are_rejected() -> None:
    with pytest.raises(UnprocessableInput, match="more than 1000000 quotes"):
        read_table(payload(b"a\nx" + b'"x' * 1_500_000))
