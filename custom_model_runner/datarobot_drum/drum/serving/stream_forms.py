"""The forms in which ``/predictionsStream/`` sends predictions, chosen by ``Accept``.

======================  ==================================================================================
octet-stream (default)  the bytes of the JSON document that ``/predictions/`` answers
ndjson                  a line a row: ``{"prediction": ...}``, with ``extraModelOutput`` if there is more
csv                     a header line, then a line a row
event-stream            an event a block of rows: ``{"predictions": [...]}``; ``[DONE]`` at the end
======================  ==================================================================================

Text and bytes that a ``score_stream`` hook yields are sent as they are; as ndjson and as events in ``{"chunk": ...}``.
An error on the way is a record of its own where the form has records; else the connection is aborted, so that nobody
takes half an answer for a whole one.
"""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from datarobot_drum.drum.language_predictors.base import Predictions, StreamChunk
from datarobot_drum.drum.serving.encoding import elements, encode, records
from datarobot_drum.drum.serving.errors import error_payload
from datarobot_drum.drum.target_types import TargetType

Encoder = Callable[[Iterator[StreamChunk], TargetType], Iterator[bytes]]


@dataclass(frozen=True)
class StreamForm:
    """A media type and how its bytes are made."""

    media_type: str
    encoder: Encoder


def document(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
    """The JSON document, its list of predictions cut into blocks; extra output, which comes last, is kept encoded."""
    first = next(chunks, b"")
    if not isinstance(first, Predictions):
        yield _as_bytes(first)
        yield from map(_as_bytes, chunks)
        return
    extra: list[bytes] = []
    separator = b'{"predictions":['
    for block in _chain(first, chunks):
        if isinstance(block, Predictions):
            yield separator + _inner(elements(block, target_type))
            separator = b","
            extra.extend(_extra_of(block))
    yield b"]" + (b',"extraModelOutput":[' + b",".join(extra) + b"]" if extra else b"") + b"}"


def json_lines(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
    return _with_error_record(_lines(chunks, target_type), lambda error: encode({"error": error}) + b"\n")


def events(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
    return _with_error_record(
        _events(chunks, target_type), lambda error: b"event: error\ndata: " + encode({"error": error}) + b"\n\n"
    )


def csv_lines(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
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
        extra = [] if chunk.extra is None else [list(row.values()) for row in records(chunk.extra)]
        rows = chunk.values.tolist()
        writer.writerows([*row, *extra[place]] for place, row in enumerate(rows)) if extra else writer.writerows(rows)
        yield text.getvalue().encode("utf-8")


FORMS = (
    StreamForm("application/octet-stream", document),
    StreamForm("application/x-ndjson", json_lines),
    StreamForm("text/csv", csv_lines),
    StreamForm("text/event-stream", events),
)


def choose_form(accept: str) -> StreamForm:
    """The form that the client likes best; the first of the table when it does not say or likes none of them."""
    wanted = sorted(_preferences(accept), key=lambda preference: -preference[1])
    for media_type, quality in wanted:
        for form in FORMS:
            if quality > 0 and media_type == form.media_type:
                return form
    return FORMS[0]


def _preferences(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        media_type, *parameters = (word.strip() for word in part.split(";"))
        quality = next((word[2:] for word in parameters if word.lower().startswith("q=")), "1")
        yield media_type.lower(), float(quality) if quality.replace(".", "", 1).isdigit() else 0.0


def _lines(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
    for chunk in chunks:
        if not isinstance(chunk, Predictions):
            yield encode({"chunk": _as_text(chunk)}) + b"\n"
            continue
        rows: list[dict[str, Any]] = [{"prediction": element} for element in elements(chunk, target_type)]
        if chunk.extra is not None:
            rows = [row | {"extraModelOutput": more} for row, more in zip(rows, records(chunk.extra), strict=True)]
        yield b"".join(encode(row) + b"\n" for row in rows)


def _events(chunks: Iterator[StreamChunk], target_type: TargetType) -> Iterator[bytes]:
    for chunk in chunks:
        if isinstance(chunk, Predictions):
            record: dict[str, Any] = {"predictions": elements(chunk, target_type)}
            if chunk.extra is not None:
                record["extraModelOutput"] = records(chunk.extra)
        else:
            record = {"chunk": _as_text(chunk)}
        yield b"data: " + encode(record) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _with_error_record(pieces: Iterator[bytes], as_record: Callable[[dict[str, Any]], bytes]) -> Iterator[bytes]:
    """``pieces``; an error after the first one becomes the last record."""
    yield next(pieces, b"")
    try:
        yield from pieces
    except Exception as error:  # the status is out; this record is the only way left to tell
        yield as_record(error_payload(error))


def _chain(first: StreamChunk, rest: Iterator[StreamChunk]) -> Iterator[StreamChunk]:
    yield first
    yield from rest


def _inner(values: list[Any]) -> bytes:
    """A list without its brackets."""
    return encode(values)[1:-1]


def _extra_of(block: Predictions) -> list[bytes]:
    return [] if block.extra is None else [_inner(records(block.extra))]


def _as_bytes(chunk: StreamChunk) -> bytes:
    return chunk.encode("utf-8") if isinstance(chunk, str) else bytes(chunk) if isinstance(chunk, bytes) else b""


def _as_text(chunk: str | bytes) -> str:
    return chunk if isinstance(chunk, str) else chunk.decode("utf-8", "replace")
