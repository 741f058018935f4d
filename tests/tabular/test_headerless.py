"""A csv without a header line is read as with the model's header, or rejected: never with its first row lost."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from datarobot_drum.drum.commands.input_file import InputFile
from datarobot_drum.drum.commands.score.structured import score_rows
from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.input_schema.columns import NUMBER, TEXT, InputSchema
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.serving.payloads import structured_payload
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload, read_blocks, read_numeric_or_frame, read_table
from datarobot_drum.drum.tabular.headerless import PrefixedFile
from datarobot_drum.drum.tabular.numeric_table import NumericTable
from tests.cases import each_case
from tests.serving.handlers_under_test import FakePredictor, post

NAMES = ("sepal length", "é,1", 'a "b"')
SCHEMA = InputSchema((NUMBER,) * 3, names=NAMES)
HEADER = pd.DataFrame(columns=list(NAMES)).to_csv(index=False)
NO_NAMES = InputSchema((NUMBER,) * 3)
CHARSETS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1"]

NUMBERS = st.integers(-(10**19), 10**19).map(str) | st.floats(allow_nan=False, allow_infinity=False).map(repr)
CELLS = NUMBERS | st.sampled_from(["", "NA", "x", '"1"', "-0"])
ENDS = st.sampled_from(["\n", "\r\n"])


def payload_of(text: str, charset: str = "utf-8", has_header: bool | None = None) -> StructuredPayload:
    return StructuredPayload(io.BytesIO(text.encode(charset)), PayloadFormat.CSV, charset, has_header=has_header)


def frame_of(table: Any) -> pd.DataFrame:
    return table.to_frame() if isinstance(table, NumericTable) else table


@given(
    first=st.lists(NUMBERS, min_size=3, max_size=3),
    others=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=4),
    end=ENDS,
    charset=st.sampled_from(CHARSETS),
)
def test_table_equals_that_with_a_header(first: list[str], others: list[list[str]], end: str, charset: str) -> None:
    rows = "".join(",".join(row) + end for row in [first, *others])
    for read in (read_table, read_numeric_or_frame):
        found = frame_of(read(payload_of(rows, charset), SCHEMA))
        pd.testing.assert_frame_equal(
            found, frame_of(read(payload_of(HEADER + rows, charset), SCHEMA)), check_exact=True
        )
        declared = frame_of(read(payload_of(rows, charset, has_header=False), SCHEMA))
        pd.testing.assert_frame_equal(declared, found, check_exact=True)
    blocks = [list(read_blocks(payload_of(text, charset), 2, SCHEMA)) for text in (rows, HEADER + rows)]
    pd.testing.assert_frame_equal(pd.concat(blocks[0]), pd.concat(blocks[1]), check_exact=True)


@given(
    cells=st.lists(NUMBERS, min_size=1, max_size=4), schema=st.sampled_from([NO_NAMES, InputSchema(), None]), end=ENDS
)
def test_numbers_that_are_no_names_are_rejected(cells: list[str], schema: InputSchema | None, end: str) -> None:
    text = ",".join(cells) + end + ",".join(cells) + end
    assume(not (len(set(cells)) == len(cells) and all(cell.isdecimal() for cell in cells)))
    with pytest.raises(UnprocessableInput, match="header=absent"):
        read_table(payload_of(text), schema)
    assert len(read_table(payload_of(text, has_header=False), schema)) == 2
    assert len(read_table(payload_of(text, has_header=True), schema)) == 1


@each_case(
    ("text", "schema"),
    [
        ("0,1,2\n5,6,7\n", NO_NAMES),
        ("2019,2020\n5,6\n", InputSchema((NUMBER,) * 2, names=("2019", "2020"))),
        ("2019,2020\n5,6\n", NO_NAMES),
        ("5,x,7\n5,6,7\n", SCHEMA),
        ("5,,7\n5,6,7\n", SCHEMA),
        ("nan,1,2\n5,6,7\n", None),
    ],
    ids=["pandas", "years", "unknown years", "text", "gap", "word"],
)
def test_other_first_lines_are_headers(text: str, schema: InputSchema | None) -> None:
    frame = read_table(payload_of(text), schema)
    assert frame.shape[0] == 1


@each_case("rows", ["1,2\n", "1,2,3,4\n", "1\n"])
@each_case("has_header", [None, False])
def test_other_number_of_columns_is_rejected(rows: str, has_header: bool | None) -> None:
    with pytest.raises(UnprocessableInput, match="columns; the model takes 3, in this order: sepal length"):
        read_table(payload_of(rows, has_header=has_header), SCHEMA)


def test_absent_header_takes_declared_names_or_positions() -> None:
    declared = InputSchema(declared={"zip": TEXT, "size": NUMBER})
    table = read_table(payload_of("01,2\n", has_header=False), declared)
    assert table.to_dict("list") == {"zip": ["01"], "size": [2]}
    assert list(read_table(payload_of("a,b\n", has_header=False)).columns) == ["0", "1"]


def test_lines_in_errors_are_those_of_the_client() -> None:
    with pytest.raises(UnprocessableInput, match="Expected 3 fields in line 2, saw 4"):
        read_table(payload_of("1,2,3\n1,2,3,4\n1,2,3\n" * 1, has_header=False), SCHEMA)


@each_case(
    ("content_type", "expected"),
    [("text/csv", None), ("text/csv; header=absent", False), ('text/csv;header="PRESENT"', True)],
)
def test_content_type_declares_the_header(content_type: str, expected: bool | None) -> None:
    assert structured_payload(post(b"1\n", content_type), any_type=False).has_header is expected


def test_other_values_of_header_are_rejected() -> None:
    with pytest.raises(UnprocessableInput, match="present or absent"):
        structured_payload(post(b"1\n", "text/csv; header=no"), any_type=False)


class _SumPredictor(FakePredictor):
    """Predicts the sum of each row."""

    input_schema = SCHEMA

    def predict(self, data: Any) -> Predictions:
        return Predictions(("Predictions",), data.to_numpy(dtype=float).sum(axis=1, keepdims=True))


@each_case("has_header", [None, False])
def test_score_reads_a_file_without_a_header(tmp_path: Path, has_header: bool | None) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("1,2,3\n4,5,6.5\n", encoding="utf-8")
    with path.open("rb") as file:
        chunks = list(
            score_rows(_SumPredictor(), InputFile(path, file), "utf-8", lambda *_: None, has_header=has_header)
        )
    values = [chunk.values for chunk in chunks if isinstance(chunk, Predictions)]
    assert np.concatenate(values).tolist() == [[6.0], [15.5]]


@given(
    prefix=st.binary(min_size=1, max_size=5),
    content=st.binary(max_size=9),
    skipped=st.integers(0, 3),
    steps=st.lists(st.tuples(st.sampled_from(["read", "seek"]), st.integers(-1, 16)), max_size=6),
)
def test_prefixed_file_reads_like_one_file(
    prefix: bytes, content: bytes, skipped: int, steps: list[tuple[str, int]]
) -> None:
    skipped = min(skipped, len(content))
    file, expected = PrefixedFile(prefix, io.BytesIO(content), skipped), io.BytesIO(prefix + content[skipped:])
    for step, number in steps:
        if step == "read":
            assert file.read(number) == expected.read(number)
        else:
            assert file.seek(max(0, number)) == expected.seek(max(0, number))
        assert file.tell() == expected.tell()
    assert file.seek(0, io.SEEK_END) == expected.seek(0, io.SEEK_END)
