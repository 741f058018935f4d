"""Tables in JSON: dialects, types by the input schema, and what is rejected."""

import io
import json
import math
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import EmptyTable, UnprocessableInput
from datarobot_drum.drum.input_schema.columns import NUMBER, TEXT, Column, ColumnType, InputSchema
from datarobot_drum.drum.input_schema.conform import conform
from datarobot_drum.drum.settings.limits import UNLIMITED
from datarobot_drum.drum.tabular import (
    PayloadFormat,
    StructuredPayload,
    read_blocks,
    read_numeric_or_frame,
    read_table,
)
from datarobot_drum.drum.tabular.json_limits import count_rows_at_most
from datarobot_drum.drum.tabular.json_tables import document_to_frame
from datarobot_drum.drum.tabular.numeric_table import NumericTable
from tests.cases import each_case

NAMED = InputSchema((NUMBER, TEXT), ("a", "b"))


def payload(body: bytes, payload_format: PayloadFormat = PayloadFormat.JSON, **limits: Any) -> StructuredPayload:
    return StructuredPayload(io.BytesIO(body), payload_format, limits=replace(UNLIMITED, **limits))


def read(document: Any, schema: InputSchema | None = None) -> pd.DataFrame:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_table(payload(body), schema)


ROWS = [[1, "x"], [2.5, None]]
RECORDS = [{"a": 1, "b": "x"}, {"a": 2.5, "b": None}]
COLUMNS = {"a": [1, 2.5], "b": ["x", None]}
SPLIT = {"columns": ["a", "b"], "index": [7, 8], "data": ROWS}


@each_case(
    "document",
    [
        RECORDS,
        ROWS,
        COLUMNS,
        SPLIT,
        {"a": {"0": 1, "1": 2.5}, "b": {"0": "x", "1": None}},
        [{"a": 1, "b": "x"}, {"a": 2.5}],
        [{"b": "x", "a": 1}, {"b": None, "a": 2.5}],
        {"instances": RECORDS},
        {"instances": ROWS, "signature_name": "serving_default", "parameters": {}},
        {"inputs": COLUMNS, "params": None},
        {"inputs": ROWS},
        {"dataframe_split": SPLIT},
        {"dataframe_split": {"data": ROWS}},
        {"dataframe_records": RECORDS},
        b'{"a": 1, "b": "x"}\n\n{"a": 2.5, "b": null}\r\n',
        b'[1, "x"]\n[2.5, null]',
        b'\xef\xbb\xbf [{"a": 1, "b": "x"}, {"a": 2.5, "b": NaN}]',
    ],
    ids=lambda document: str(document)[:40],
)
def test_every_dialect_means_the_same_table(document: Any) -> None:
    found = read(document, NAMED)[["a", "b"]]
    pd.testing.assert_frame_equal(found, pd.DataFrame({"a": [1, 2.5], "b": ["x", None]}))


def test_a_record_alone_and_values_of_the_only_column_are_rows() -> None:
    assert read({"a": 1, "b": True}).to_dict("records") == [{"a": 1, "b": True}]
    assert read({"instances": ["some text", "more"]}).to_dict("list") == {"0": ["some text", "more"]}
    assert read({"instances": [[[1, 2], [3, 4]]]}).to_dict("list") == {"0": [[1, 2]], "1": [[3, 4]]}


def test_the_columns_of_the_model_come_before_a_dialect() -> None:
    schema = InputSchema((NUMBER, NUMBER), ("inputs", "instances"))
    document = {"inputs": [1, 2], "instances": [3, 4]}
    assert document_to_frame(document, schema).to_dict("list") == document
    split = InputSchema((NUMBER, NUMBER), ("columns", "data"))
    assert document_to_frame({"columns": [1], "data": [2]}, split).to_dict("list") == {"columns": [1], "data": [2]}


@each_case(
    ("body", "text"),
    [
        (b"", "invalid"),
        (b"nonsense", "invalid"),
        (b'[{"a": 1}', "invalid"),
        (b'[{"a": 1}] x', "invalid"),
        (b"\xff", "invalid"),
        (b'["\\ud800"]', "invalid"),
        (b'{"a": 1}\n{"a": }', "row 2"),
        (b'{"a": 1, "b": "x", "a": 2}', "'a' twice"),
        (b'{"a" :1,"b":{"c":":","c":2}}', "'c' twice"),
        (b"1", "no table"),
        (b'"text"', "no table"),
        (b"[1, 2]", "one row or one column"),
        (b"{}", "no cells"),
        (b"[{}]", "no cells"),
        (b'[{"a": 1}, [1]]', "rows of the JSON differ"),
        (b'[{"a": 1}, 1]', "rows of the JSON differ"),
        (b"[[1, 2], [1]]", "row 1 has 2 cells, row 2 has 1"),
        (b"[[1, 2, 3]]", "3 cells; the model takes 2 columns: a, b"),
        (b'{"a": [1], "b": [1, 2]}', "different lengths"),
        (b'{"a": [1], "b": 2}', "lists beside other values"),
        (b'{"a": {"0": 1}, "b": {"1": 2}}', "index labels"),
        (b'{"instances": [[1, 2]], "inputs": [[1, 2]]}', "alone"),
        (b'{"instances": [[1, 2]], "parameters": {"k": 1}}', "takes no parameters"),
        (b'{"instances": [[1, 2]], "signature_name": "other"}', "takes no signature_name"),
        (b'{"instances": "text"}', "list of rows"),
        (b'{"dataframe_split": [1]}', "split orientation"),
        (b'{"columns": ["a", "a"], "data": [[1, 2]]}', "'a' more than once"),
        (b'{"columns": ["a"], "data": [[1, 2]]}', "2 cells, and there are 1 columns"),
        (b'{"columns": [null], "data": [[1]]}', "list of names"),
        (b'{"dataframe_records": {"a": 1}}', "list of objects"),
        (b'[{"a": {"x": 1}}]', "holds objects"),
        (b'[{"a": [1, 2], "b": "x"}]', "holds lists"),
    ],
)
def test_what_is_no_table_is_rejected(body: bytes, text: str) -> None:
    with pytest.raises(UnprocessableInput) as raised:
        read(body, NAMED)
    assert text in raised.value.message


@each_case("body", [b"[]", b'{"instances": []}', b'{"a": []}', b'{"columns": ["a"], "data": []}'])
def test_a_table_without_rows_is_empty(body: bytes) -> None:
    with pytest.raises(EmptyTable):
        read(body)


@each_case(
    ("body", "limits", "text"),
    [
        (b"[" * 200 + b"]" * 200, {"max_json_depth": 100}, "DRUM_MAX_JSON_DEPTH"),
        (b"[" * 100_000, {}, "invalid"),
        (b'[{"a": 1, "b": 2}]', {"max_json_cells": 2}, "DRUM_MAX_JSON_CELLS"),
        (json.dumps([{f"c{row}": 1} for row in range(100)]).encode(), {"max_json_cells": 1000}, "DRUM_MAX_JSON_CELLS"),
        (b"[[1],[2],[3]]", {"max_rows": 2}, "DRUM_MAX_ROWS"),
        (b"[[1,2,3]]", {"max_columns": 2}, "DRUM_MAX_COLUMNS"),
        (b'[["' + b"x" * 50 + b'"]]', {"max_cell_size": 40}, "DRUM_MAX_CELL_SIZE"),
        (b'{"a": [' + b"9" * 5000 + b"]}", {}, "invalid"),
        (b'{"a": [1' + b"0" * 400 + b", 1.5]}", {}, "too large"),
    ],
)
def test_a_table_over_a_limit_is_rejected(body: bytes, limits: dict[str, Any], text: str) -> None:
    with pytest.raises(UnprocessableInput) as raised:
        read_table(payload(body, **limits))
    assert text in raised.value.message


def test_types_come_from_the_schema_else_from_json() -> None:
    categories = Column(ColumnType.CATEGORY, categories=pd.Index(["1", "07"]))
    schema = InputSchema((NUMBER, TEXT, categories, Column(ColumnType.BOOLEAN)), ("n", "t", "c", "b"))
    frame = read([{"n": "9007199254740993", "t": 7, "c": "07", "b": "true", "rest": "007"}], schema)
    assert frame.dtypes.astype(str).to_dict()["n"] == "int64"
    conformed = conform(schema, frame)
    assert conformed.iloc[0].tolist() == [9007199254740993, "7", "07", True, "007"]


def test_integers_beyond_64_bits_stay_exact_as_text() -> None:
    frame = read(b'[{"b": 123456789012345678901234567890, "a": 1}]', NAMED)
    assert frame["b"].tolist() == ["123456789012345678901234567890"]


CELLS = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_infinity=False, allow_nan=False)
COLUMN_CELLS = st.one_of(
    st.lists(st.integers(-(2**62), 2**62), min_size=3, max_size=3),
    st.lists(st.floats(allow_infinity=False, allow_nan=False), min_size=3, max_size=3),
    st.lists(st.none() | st.booleans(), min_size=3, max_size=3),
    st.lists(st.none() | st.floats(-1e9, 1e9), min_size=3, max_size=3),
    st.lists(st.none() | st.text('abcxyz ,"\n', min_size=3), min_size=3, max_size=3),
)


@given(st.lists(COLUMN_CELLS, min_size=1, max_size=4))
def test_columns_of_unknown_type_have_the_types_of_csv(columns: list[list[Any]]) -> None:
    table = {f"c{position}": cells for position, cells in enumerate(columns)}
    csv_text = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in table.items()}).to_csv(index=False)
    expected = read_table(StructuredPayload(io.BytesIO(csv_text.encode()), PayloadFormat.CSV))
    pd.testing.assert_frame_equal(read(table), expected)


@given(st.lists(st.lists(st.sampled_from(["1", "2.5", "1e5", "True", "", " 3", "NA", "-0.5"]), min_size=2, max_size=2)))
def test_texts_in_columns_of_numbers_are_read_as_csv(rows: list[list[str]]) -> None:
    if not rows:
        return
    schema = InputSchema((NUMBER, Column(ColumnType.BOOLEAN)), ("a", "b"))
    csv_text = "a,b\n" + "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in rows)
    expected = read_table(StructuredPayload(io.BytesIO(csv_text.encode()), PayloadFormat.CSV), schema)
    pd.testing.assert_frame_equal(read(rows, schema), expected)


@given(st.lists(st.tuples(st.integers(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=3))
def test_numbers_are_a_numeric_table_or_the_same_frame(rows: list[tuple[int, float]]) -> None:
    body = json.dumps([{"a": first, "b": second} for first, second in rows]).encode()
    numbers = read_numeric_or_frame(payload(body))
    frame = numbers.to_frame() if isinstance(numbers, NumericTable) else numbers
    pd.testing.assert_frame_equal(frame, read_table(payload(body)))
    assert [math.copysign(1, cell) for cell in frame["b"]] == [math.copysign(1, second) for _, second in rows]


KEYS = st.sampled_from(["a", "b", "instances", "inputs", "data", "columns", "index", "dataframe_split", "params"])


@given(st.recursive(CELLS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)))
def test_any_document_is_a_table_or_rejected(document: Any) -> None:
    for schema in (None, NAMED):
        with suppress(UnprocessableInput):
            assert read(document, schema).size


@pytest.mark.parametrize("payload_format", [PayloadFormat.JSON, PayloadFormat.JSON_LINES])
@given(body=st.binary(max_size=60) | st.text('[]{}":,1a\\nN\n ', max_size=30).map(str.encode))
def test_any_bytes_are_a_table_or_rejected(payload_format: PayloadFormat, body: bytes) -> None:
    with suppress(UnprocessableInput):
        assert len(read_table(payload(body, payload_format), NAMED))


def test_json_lines_are_read_in_blocks_with_the_columns_of_earlier_ones() -> None:
    body = b'{"a": 1, "b": "x"}\n{"a": 2}\n\n{"b": "z", "a": 3, "c": 4}\n'
    blocks = list(read_blocks(payload(body, PayloadFormat.JSON_LINES), 1, NAMED))
    assert [block.to_dict("list") for block in blocks] == [
        {"a": [1], "b": ["x"]},
        {"a": [2], "b": [np.nan]},
        {"a": [3], "b": ["z"], "c": [4]},
    ]


def test_other_json_is_read_whole_and_sliced() -> None:
    blocks = list(read_blocks(payload(b'{"a": [1, 2.5, 3]}'), 2))
    assert [block["a"].tolist() for block in blocks] == [[1.0, 2.5], [3.0]]
    assert [block.index[0] for block in blocks] == [0, 0]


@given(st.lists(st.lists(st.sampled_from(["{", "[", "a,b", 1]), min_size=2, max_size=2), min_size=1, max_size=5))
def test_the_number_of_rows_has_an_upper_bound(rows: list[list[Any]]) -> None:
    records = [{"a": first, "b": second} for first, second in rows]
    columns = {"a": [first for first, _ in rows], "b": [second for _, second in rows]}
    for document in (rows, records, columns, {"instances": records}, {"inputs": rows}):
        assert count_rows_at_most(json.dumps(document).encode()) >= len(rows)
    assert count_rows_at_most(b"\n".join(json.dumps(record).encode() for record in records)) >= len(rows)
