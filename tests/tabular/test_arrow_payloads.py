"""Arrow and Parquet bodies: the same rows as csv, limits, and corrupt files."""

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import PayloadTooLarge, UnprocessableInput
from datarobot_drum.drum.input_schema.columns import NUMBER, TEXT, InputSchema
from datarobot_drum.drum.settings.limits import UNLIMITED
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload, read_blocks, read_numeric_or_frame, read_table
from datarobot_drum.drum.tabular.numeric_table import NumericTable
from tests.cases import each_case

ARROW, PARQUET = PayloadFormat.ARROW, PayloadFormat.PARQUET
SCHEMA = InputSchema((NUMBER, TEXT), ("a", "b"))


def to_stream(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue()


def to_file(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def to_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


FORMATS: dict[str, tuple[Callable[[pa.Table], bytes], PayloadFormat]] = {
    "stream": (to_stream, ARROW),
    "file": (to_file, ARROW),
    "parquet": (to_parquet, PARQUET),
}
TABLE = pa.table({"a": [1, None, 3], "b": ["x", None, "007"], "c": [True, False, True]})


def payload(body: bytes, payload_format: PayloadFormat, **limits: Any) -> StructuredPayload:
    return StructuredPayload(io.BytesIO(body), payload_format, limits=replace(UNLIMITED, **limits))


@each_case("name", FORMATS)
def test_a_body_is_read_as_the_table_that_it_holds(name: str) -> None:
    write, payload_format = FORMATS[name]
    frame = read_table(payload(write(TABLE), payload_format), SCHEMA)
    expected = pd.DataFrame({"a": [1, np.nan, 3], "b": ["x", None, "007"], "c": [True, False, True]})
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False)
    blocks = list(read_blocks(payload(write(TABLE), payload_format), 2, SCHEMA))
    assert [len(block) for block in blocks] == [2, 1]
    assert [block["a"].dtype for block in blocks] == [np.float64, np.float64]


@each_case("name", FORMATS)
def test_texts_in_columns_of_numbers_are_read_as_csv(name: str) -> None:
    write, payload_format = FORMATS[name]
    table = pa.table({"a": ["9007199254740993", "12"], "b": pa.array(["x", "y"]).dictionary_encode()})
    frame = read_table(payload(write(table), payload_format), SCHEMA)
    assert frame["a"].tolist() == [9007199254740993, 12]
    assert frame["b"].tolist() == ["x", "y"]


def test_numbers_are_a_numeric_table() -> None:
    table = pa.table({"a": [1, 2], "b": [0.5, 1.5]})
    numbers = read_numeric_or_frame(payload(to_stream(table), ARROW))
    assert isinstance(numbers, NumericTable)
    assert numbers.to_frame().to_dict("list") == {"a": [1, 2], "b": [0.5, 1.5]}


def test_a_stored_index_is_no_column() -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=[5, 6])
    assert list(read_table(payload(to_parquet(pa.Table.from_pandas(frame)), PARQUET)).columns) == ["a"]


MANY = pa.table({"a": list(range(100))})
LONG = pa.table({"a": pa.array(["x" * 1000] * 1000).dictionary_encode()})
VIEWS = pa.table({"a": pa.array(["x" * 1000] * 1000, type=pa.string_view())})


@each_case(
    ("table", "limits", "text"),
    [
        (MANY, {"max_rows": 99}, "DRUM_MAX_ROWS"),
        (pa.table({"a": [1], "b": [1]}), {"max_columns": 1}, "DRUM_MAX_COLUMNS"),
        (LONG, {"max_cell_size": 999}, "DRUM_MAX_CELL_SIZE"),
        (LONG, {"max_decoded_size": 500_000}, "DRUM_MAX_DECODED_SIZE"),
        (VIEWS, {"max_decoded_size": 500_000}, "DRUM_MAX_DECODED_SIZE"),
        (pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), {}, "several columns of the same name: a"),
        (pa.table({"a": [{"x": 1}]}), {}, "no type of a table's cells"),
        (pa.table({"a": [[1, 2]]}), {}, "one value in each cell"),
        (pa.table({"a": pa.array([], type=pa.int64())}), {}, "no rows"),
        (pa.table({}), {}, "no columns"),
    ],
)
def test_a_table_over_a_limit_or_of_other_types_is_rejected(table: pa.Table, limits: dict[str, int], text: str) -> None:
    with pytest.raises((UnprocessableInput, PayloadTooLarge)) as raised:
        read_table(payload(to_stream(table), ARROW, **limits), SCHEMA)
    assert text in raised.value.message


def test_a_large_record_batch_is_rejected_before_it_is_decoded() -> None:
    body = to_stream(pa.table({"a": np.zeros(100_000)}), compression="zstd")
    with pytest.raises(UnprocessableInput, match="DRUM_MAX_RECORD_BATCH_SIZE"):
        read_table(payload(body, ARROW, max_record_batch_size=10))


@each_case("payload_format", [ARROW, PARQUET])
@each_case("body", [b"", b"a,b\n1,2\n", b"PAR1", b"PAR1PAR1", b"ARROW1\0\0", b"\xff\xff\xff\xff\xff\xff\xff\xff"])
def test_other_content_is_rejected(payload_format: PayloadFormat, body: bytes) -> None:
    with pytest.raises(UnprocessableInput, match=r"file could not be read|no columns|no rows"):
        read_table(payload(body, payload_format))


def test_a_name_that_is_no_text_is_rejected() -> None:
    body = to_stream(pa.table({"column": [1]})).replace(b"column", b"\x80olumn")
    with pytest.raises(UnprocessableInput, match="file could not be read"):
        read_table(payload(body, ARROW))


BODIES = [(write(TABLE), payload_format) for write, payload_format in FORMATS.values()]
PANDAS = pa.Table.from_pandas(pd.DataFrame({"a": [1], "b": pd.Categorical(["x"])}))
BODIES += [(to_stream(PANDAS), ARROW), (to_parquet(PANDAS), PARQUET)]


@settings(max_examples=300)
@given(
    st.sampled_from(BODIES),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 20),
)
def test_a_damaged_body_is_a_table_or_rejected(
    body: tuple[bytes, PayloadFormat], damages: list[tuple[float, int]], cut: int
) -> None:
    content = bytearray(body[0])
    for place, value in damages:
        content[int(place * (len(content) - 1))] = value
    damaged = bytes(content[: len(content) - cut])
    with suppress(UnprocessableInput, PayloadTooLarge):
        read_table(payload(damaged, body[1], max_decoded_size=10_000_000, max_rows=10_000, max_record_batch_size=10**7))
