"""Negotiation and encoding of stream formats."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import PredictionError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import Predictions, StreamChunk
from datarobot_drum.drum.serving.formats.predictions_json import predictions_response
from datarobot_drum.drum.serving.formats.streaming import (
    STREAM_FORMATS,
    StreamFormat,
    negotiate_format,
    negotiate_table_format,
)
from datarobot_drum.drum.settings.target_types import TargetType
from tests.cases import each_case

OCTETS, JSON_LINES, CSV, EVENTS, *_ = STREAM_FORMATS
RANGES = [
    *(stream_format.media_type for stream_format in STREAM_FORMATS),
    "*/*",
    "text/*",
    "application/*",
    "text/html",
    "",
    "*",
    "/*",
]
QUALITIES = ["", ";q=0", ";q=0.5", ";q=1", ";Q=0.001", ";q=", ";q=²", ";q=-1", ";q=nan", ";q=1e9", ";v=1;q=.5", ";;"]


@given(st.text())
def test_any_accept_header_selects_a_format(accept: str) -> None:
    assert negotiate_format(accept) in STREAM_FORMATS


@given(st.lists(st.tuples(st.sampled_from(RANGES), st.sampled_from(QUALITIES)), max_size=6))
def test_format_with_quality_zero_is_only_the_fallback(preferences: list[tuple[str, str]]) -> None:
    accept = ", ".join(media_type + quality for media_type, quality in preferences)
    chosen = negotiate_format(accept)
    said = dict(preferences)
    assert chosen is STREAM_FORMATS[0] or said.get(chosen.media_type) != ";q=0"


@given(
    st.permutations([(stream_format.media_type, f"0.{place}") for place, stream_format in enumerate(STREAM_FORMATS, 1)])
)
def test_quality_comes_before_order(preferences: list[tuple[str, str]]) -> None:
    accept = ", ".join(f"{media_type};q={quality}" for media_type, quality in preferences)
    assert negotiate_format(accept) is STREAM_FORMATS[-1]


@each_case(
    ("accept", "stream_format"),
    [
        ("", OCTETS),
        ("*/*", OCTETS),
        ("text/csv", CSV),
        ("text/*", CSV),
        ("application/*;q=0.1, text/*;q=0.2", CSV),
        ("text/csv;q=0, text/*", EVENTS),
        ("*/*, application/x-ndjson", JSON_LINES),
        ("*/*, application/x-ndjson;q=0.9", OCTETS),
        ("text/event-stream, text/csv", EVENTS),
        ("text/*;q=0.9, text/event-stream;q=0.1, application/x-ndjson;q=0.5", CSV),
        ("text/*;q=0.9, text/event-stream;q=0.1, text/csv;q=0.2, application/x-ndjson;q=0.5", JSON_LINES),
        ("*/*;q=0, text/csv;q=0.1", CSV),
        ("*/*;q=0.1, text/*;q=0", OCTETS),
        ("TEXT/CSV; header=present; q=0.7, application/x-ndjson;q=0.6", CSV),
        ('text/csv;note="a, b; q=0";q=0.5, application/x-ndjson;q=0.4', CSV),
        ("application/json;q=0.9, ,text/csv;q=0.8,", CSV),
        ("text/csv;q=1.5, application/x-ndjson;q=0.1", JSON_LINES),
    ],
)
def test_accept_header_selects_the_preferred_format(accept: str, stream_format: StreamFormat) -> None:
    assert negotiate_format(accept) is stream_format


# Bytes

NUMBERS = st.lists(st.floats(), max_size=5)
BLOCKS = st.lists(NUMBERS, min_size=1, max_size=5)


def block(values: list[float], **extra: list[object]) -> Predictions:
    frame = pd.DataFrame(extra) if extra else None
    return Predictions(("Predictions",), np.array(values, dtype=float).reshape(-1, 1), frame)


def encoded(
    stream_format: StreamFormat, *chunks: StreamChunk, target_type: TargetType = TargetType.REGRESSION
) -> bytes:
    return b"".join(stream_format.encode(iter(chunks), target_type))


@given(BLOCKS)
def test_streamed_document_equals_the_document_of_one_block(blocks: list[list[float]]) -> None:
    whole = block([value for values in blocks for value in values])
    assert encoded(OCTETS, *map(block, blocks)) == predictions_response(whole, TargetType.REGRESSION).content


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=3), min_size=1, max_size=4))
def test_streamed_extra_output_equals_that_of_one_block(blocks: list[list[str]]) -> None:
    parts = [block([1.0] * len(texts), text=list(texts)) for texts in blocks]
    texts = [text for part in blocks for text in part]
    whole = block([1.0] * len(texts), text=list(texts))
    assert encoded(OCTETS, *parts) == predictions_response(whole, TargetType.REGRESSION).content


@given(BLOCKS)
def test_ndjson_and_events_have_the_predictions_of_the_document(blocks: list[list[float]]) -> None:
    document = json.loads(encoded(OCTETS, *map(block, blocks)))["predictions"]
    lines = [json.loads(line) for line in encoded(JSON_LINES, *map(block, blocks)).splitlines()]
    *events, end = encoded(EVENTS, *map(block, blocks)).decode().split("\n\n")[:-1]
    assert [line["prediction"] for line in lines] == document
    assert [value for event in events for value in json.loads(event[6:])["predictions"]] == document
    assert end == "data: [DONE]"


def test_csv_columns_are_class_labels() -> None:
    chunk = Predictions(("yes", 'n"o'), np.array([[0.25, 0.75]]))
    assert encoded(CSV, chunk, chunk, target_type=TargetType.BINARY) == b'yes,"n""o"\n0.25,0.75\n0.25,0.75\n'


def test_multiline_text_is_one_csv_cell() -> None:
    chunk = Predictions(("reply",), np.array([["a\nb"], [None]], dtype=object))
    assert encoded(CSV, chunk, target_type=TargetType.TEXT_GENERATION) == b'reply\n"a\nb"\n""\n'


@each_case("stream_format", STREAM_FORMATS[:4], ids=lambda stream_format: stream_format.media_type)
@each_case("chunks", [("a", "b"), (block([1.0]), block([2.0]))], ids=["text", "blocks"])
def test_closing_the_encoder_closes_the_chunks(stream_format: StreamFormat, chunks: tuple[StreamChunk, ...]) -> None:
    closed: list[bool] = []

    def make() -> Iterator[StreamChunk]:
        try:
            yield from chunks
        finally:
            closed.append(True)

    chunk_generator = make()
    encoded_chunks = stream_format.encode(chunk_generator, TargetType.REGRESSION)
    next(encoded_chunks)
    encoded_chunks.close()  # type: ignore[attr-defined]
    assert closed == [True]


@each_case("chunks", [(block([1.0]), "a"), ("a", block([1.0]))], ids=["text last", "block last"])
def test_mixed_chunks_are_rejected(chunks: tuple[StreamChunk, ...]) -> None:
    with pytest.raises(PredictionError, match="one kind"):
        encoded(OCTETS, *chunks)


def test_arrow_has_a_record_batch_for_each_block() -> None:
    arrow = STREAM_FORMATS[-1]
    content = encoded(arrow, block([1.0, float("nan")]), block([2.0]))
    reader = pa.ipc.open_stream(content)
    assert [batch.to_pydict() for batch in reader] == [{"Predictions": [1.0, None]}, {"Predictions": [2.0]}]
    with pytest.raises(UnprocessableInput, match="text"):
        encoded(arrow, "a")


@each_case(
    ("accept", "media_type"),
    [
        ("", None),
        ("*/*", None),
        ("application/json, text/csv;q=0.9", None),
        ("text/html,application/xhtml+xml,*/*;q=0.8", None),
        ("text/event-stream", None),
        ("application/octet-stream", None),
        ("text/csv", "text/csv"),
        ("application/jsonlines", "application/jsonlines"),
        ("application/x-ndjson, */*", "application/x-ndjson"),
        ("text/*;q=0.5, text/csv;q=0.1, application/json;q=0.3", None),
        ("application/json;q=0, */*", "application/x-ndjson"),
        ("application/*, text/csv;q=0.9", None),
        ("application/vnd.apache.arrow.stream;q=0.9, application/json;q=0.1", "application/vnd.apache.arrow.stream"),
    ],
)
def test_predict_has_its_document_unless_a_table_format_is_preferred(accept: str, media_type: str | None) -> None:
    chosen = negotiate_table_format(accept)
    assert (chosen and chosen.media_type) == media_type
