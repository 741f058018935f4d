"""The formats of ``/predictionsStream/``, negotiated by ``Accept``; ``/predict/`` has those of tables, too.

======================  ==================================================================================
octet-stream (default)  the bytes of the JSON document that ``/predictions/`` returns
ndjson                  a line a row: ``{"prediction": ...}``, with ``extraModelOutput`` for extra columns
csv                     a header line, then a line a row
event-stream            an event a block of rows: ``{"predictions": [...]}``; ``[DONE]`` at the end
arrow.stream            record batches, if PyArrow is installed
======================  ==================================================================================

Text and bytes that a ``score_stream`` hook yields are sent unchanged; as ndjson and as events in ``{"chunk": ...}``.
An error after the first chunk becomes a last record in ndjson and event-stream. The other formats abort the connection,
so a client cannot mistake a truncated response for a complete one.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import chain
from typing import Any

from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.iterators import close_iterator
from datarobot_drum.drum.language_predictors.base import Predictions, StreamChunk
from datarobot_drum.drum.language_predictors.json_values import encode, records, to_cell
from datarobot_drum.drum.serving.errors import error_payload
from datarobot_drum.drum.serving.formats.predictions_json import elements, encode_elements, encode_extra
from datarobot_drum.drum.serving.media_type import MAX_CACHED_VALUE
from datarobot_drum.drum.settings.target_types import TargetType

_QUALITY = re.compile(r"0(\.[0-9]*)?|1(\.0*)?")
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_PARAMETER = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*"?)+')

Encoder = Callable[[Iterator[StreamChunk], TargetType], Iterator[bytes]]


@dataclass(frozen=True)
class StreamFormat:
    """A media type and its encoder."""

    media_type: str
    encoder: Encoder

    def encode(self, chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
        """Yield the encoded ``chunks``; close them at the end or on an error."""
        try:
            yield from self.encoder(chunks, target_type)
        finally:
            close_iterator(chunks)


def document(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
    """Yield the JSON document block by block. Extra output comes last, so it is held in memory, encoded."""
    first = next(chunks, b"")
    if not isinstance(first, Predictions):
        yield from map(_as_bytes, chain([first], chunks))
        return
    extra: list[bytes] = []
    separator = b'{"predictions":['
    for block in map(_as_predictions, chain([first], chunks)):
        if len(block.values):
            yield separator + encode_elements(block, target_type)[1:-1]
            separator = b","
            extra.extend(_extra_of(block))
    yield b"]" if separator == b"," else separator + b"]"
    yield (b',"extraModelOutput":[' + b",".join(extra) + b"]" if extra else b"") + b"}"


def json_lines(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
    """Yield ndjson."""
    return _with_error_record(_lines(chunks, target_type), lambda error: encode({"error": error}) + b"\n")


def events(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
    """Yield server-sent events."""
    return _with_error_record(
        _events(chunks, target_type), lambda error: b"event: error\ndata: " + encode({"error": error}) + b"\n\n"
    )


def csv_lines(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
    """Yield csv with one header line."""
    needs_header = True
    for chunk in chunks:
        if not isinstance(chunk, Predictions):
            yield _as_bytes(chunk)
            continue
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if needs_header:
            writer.writerow([*chunk.columns, *([] if chunk.extra is None else chunk.extra.columns)])
            needs_header = False
        rows = ([_as_cell(value) for value in row] for row in chunk.values.tolist())
        if chunk.extra is None:
            writer.writerows(rows)
        else:
            extra = (map(to_cell, more.values()) for more in records(chunk.extra))
            writer.writerows([*row, *more] for row, more in zip(rows, extra, strict=True))
        yield text.getvalue().encode("utf-8")


def arrow_batches(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
    """Yield the stream format of Arrow."""
    encoder: Encoder = import_from_string("datarobot_drum.drum.serving.formats.arrow_predictions:record_batches")
    return encoder(chunks, target_type)


_DOCUMENT = StreamFormat("application/octet-stream", document)
_EVENTS = StreamFormat("text/event-stream", events)
TABLE_FORMATS = (
    StreamFormat("application/x-ndjson", json_lines),
    StreamFormat("text/csv", csv_lines),
    StreamFormat("application/jsonlines", json_lines),
    *([StreamFormat("application/vnd.apache.arrow.stream", arrow_batches)] if find_spec("pyarrow") else []),
)
"""The formats that ``/predict/`` has beside its JSON document."""

STREAM_FORMATS = (_DOCUMENT, *TABLE_FORMATS[:2], _EVENTS, *TABLE_FORMATS[2:])
_JSON_FORMAT = StreamFormat("application/json", document)
_ANY_TYPE = frozenset({"", "*/*"})


def negotiate_table_format(accept: str) -> StreamFormat | None:
    """Return the format that the client prefers to the JSON document of ``/predict/``; None for that document."""
    if accept in _ANY_TYPE:
        return None
    preferred = negotiate_format(accept, (_JSON_FORMAT, *TABLE_FORMATS))
    return None if preferred is _JSON_FORMAT else preferred


def negotiate_format(accept: str, formats: tuple[StreamFormat, ...] = STREAM_FORMATS) -> StreamFormat:
    """Return the format that the client prefers; the first one without a preference or a match (RFC 9110, 12.5.1)."""
    return _short_negotiate(accept, formats) if len(accept) < MAX_CACHED_VALUE else _negotiate(accept, formats)


def _negotiate(accept: str, formats: tuple[StreamFormat, ...]) -> StreamFormat:
    preferences = dict(_preferences(accept))
    order = list(preferences)

    def rank(stream_format: StreamFormat) -> tuple[float, int, int]:
        """Return the quality of a format; at equal quality a type comes before a range, else the first one listed."""
        major, _, _ = stream_format.media_type.partition("/")
        ranges = (stream_format.media_type, f"{major}/*", "*/*")
        found = next((media_range for media_range in ranges if media_range in preferences), None)
        if found is None:
            return 0.0, 0, 0
        return preferences[found], -ranges.index(found), -order.index(found)

    best = max(formats, key=rank)
    return best if rank(best)[0] > 0 else formats[0]


_short_negotiate = lru_cache(maxsize=128)(_negotiate)


def _preferences(accept: str) -> Iterator[tuple[str, float]]:
    for part in _split(accept, ",", _ELEMENT):
        media_type, *parameters = map(str.strip, _split(part, ";", _PARAMETER))
        quality = next((word[2:] for word in parameters if word.lower().startswith("q=")), "1")
        yield media_type.lower(), float(quality) if _QUALITY.fullmatch(quality) else 0.0


def _split(text: str, separator: str, element: re.Pattern[str]) -> list[str]:
    """Split at separators outside of quoted strings."""
    return element.findall(text) or [""] if '"' in text else text.split(separator)


def _lines(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
    for chunk in chunks:
        if not isinstance(chunk, Predictions):
            yield encode({"chunk": _as_text(chunk)}) + b"\n"
            continue
        rows: list[dict[str, Any]] = [{"prediction": element} for element in elements(chunk, target_type)]
        if chunk.extra is not None:
            rows = [row | {"extraModelOutput": more} for row, more in zip(rows, records(chunk.extra), strict=True)]
        with _cells_in_errors(chunk):
            lines = b"".join(encode(row) + b"\n" for row in rows)
        yield lines


def _events(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
    for chunk in chunks:
        if isinstance(chunk, Predictions):
            record: dict[str, Any] = {"predictions": elements(chunk, target_type)}
            if chunk.extra is not None:
                record["extraModelOutput"] = records(chunk.extra)
        else:
            record = {"chunk": _as_text(chunk)}
        with _cells_in_errors(chunk):
            event = b"data: " + encode(record) + b"\n\n"
        yield event
    yield b"data: [DONE]\n\n"


@contextmanager
def _cells_in_errors(chunk: StreamChunk) -> Iterator[None]:
    """Name column and row in the error of a value that JSON cannot carry."""
    try:
        yield
    except PredictionError:
        if isinstance(chunk, Predictions) and chunk.extra is not None:
            encode_extra(chunk.extra)
        raise


def _with_error_record(encoded: Iterator[bytes], as_record: Callable[[dict[str, Any]], bytes]) -> Iterator[bytes]:
    """Yield ``encoded``; an error after the first chunk becomes the last record."""
    yield next(encoded, b"")
    try:
        yield from encoded
    except Exception as error:  # the status is sent, so only a record can report it
        yield as_record(error_payload(error))


def _extra_of(block: Predictions) -> list[bytes]:
    """Return the extra output of a block, encoded without the brackets of its list."""
    return [] if block.extra is None else [encode_extra(block.extra)[1:-1]]


def _as_cell(value: Any) -> Any:
    """Return None, an empty cell, for NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _as_bytes(chunk: StreamChunk) -> bytes:
    if isinstance(chunk, Predictions):
        raise PredictionError("The hook score_stream yielded a DataFrame after text: it must yield one kind.")
    return chunk if isinstance(chunk, bytes) else chunk.encode("utf-8", "replace")


def _as_predictions(chunk: StreamChunk) -> Predictions:
    if not isinstance(chunk, Predictions):
        raise PredictionError("The hook score_stream yielded text after a DataFrame: it must yield one kind.")
    return chunk


def _as_text(chunk: str | bytes) -> str:
    return chunk if isinstance(chunk, str) else chunk.decode("utf-8", "replace")
