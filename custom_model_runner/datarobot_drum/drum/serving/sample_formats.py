"""The format of samples, by media type, file name and first bytes."""

import re

from datarobot_drum.drum.error_text import printable, shortened
from datarobot_drum.drum.exceptions import UnsupportedMediaType
from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.media_type import MediaType
from datarobot_drum.drum.tabular import PayloadFormat
from datarobot_drum.drum.tabular.payload import ARROW_FORMATS

MEDIA_TYPES = {
    "text/csv": PayloadFormat.CSV,
    "application/csv": PayloadFormat.CSV,
    "application/x-csv": PayloadFormat.CSV,
    "application/vnd.ms-excel": PayloadFormat.CSV,  # browsers on Windows send it for csv
    "text/mtx": PayloadFormat.MTX,
    "application/json": PayloadFormat.JSON,
    "text/json": PayloadFormat.JSON,
    "application/x-ndjson": PayloadFormat.JSON_LINES,
    "application/ndjson": PayloadFormat.JSON_LINES,
    "application/jsonlines": PayloadFormat.JSON_LINES,
    "application/x-jsonlines": PayloadFormat.JSON_LINES,
    "application/jsonl": PayloadFormat.JSON_LINES,
    "application/vnd.apache.arrow.stream": PayloadFormat.ARROW,
    "application/vnd.apache.arrow.file": PayloadFormat.ARROW,
    "application/vnd.apache.parquet": PayloadFormat.PARQUET,
    "application/x-parquet": PayloadFormat.PARQUET,
    "application/parquet": PayloadFormat.PARQUET,
}
"""Media types that name a format; the first of each format is the one that messages and documentation name."""

_EXTENSIONS = {
    ".mtx": PayloadFormat.MTX,
    ".json": PayloadFormat.JSON,
    ".jsonl": PayloadFormat.JSON_LINES,
    ".ndjson": PayloadFormat.JSON_LINES,
    ".arrow": PayloadFormat.ARROW,
    ".feather": PayloadFormat.ARROW,
    ".parquet": PayloadFormat.PARQUET,
    ".pq": PayloadFormat.PARQUET,
}
_UNNAMED = frozenset({"", "application/octet-stream", "application/x-www-form-urlencoded"})
"""Media types of clients that name none; curl sends the last one by default."""

_HEAD_BYTES = 512
_JSON_HEAD = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\{\s*"(?:[^"\\]|\\.)*"\s*:|\[\s*[\[{])')
_MAGIC = {b"PAR1": PayloadFormat.PARQUET, b"ARROW1\0\0": PayloadFormat.ARROW, b"\xff\xff\xff\xff": PayloadFormat.ARROW}

READ_TYPES = (
    "text/csv, text/mtx (Matrix Market), application/json, application/x-ndjson, application/vnd.apache.arrow.stream, "
    "application/vnd.apache.arrow.file and application/vnd.apache.parquet"
)


def find_format(upload: SpooledUploadFile, media_type: MediaType) -> PayloadFormat:
    """Return the format of samples: by the media type, else the file name, else the first bytes, else csv.

    Raises:
        UnsupportedMediaType: the media type is that of no table.
    """
    _, dot, name = (upload.filename or "").lower().rpartition(".")
    extension = dot + name if dot else ""
    if extension == ".mtx":  # also with the media type of another format
        return PayloadFormat.MTX
    found = MEDIA_TYPES.get(media_type.essence)
    if found is not None:
        return found
    if media_type.essence.endswith("+json"):
        return PayloadFormat.JSON
    if media_type.essence in _UNNAMED or media_type.essence == "text/plain":
        return _EXTENSIONS.get(extension) or _detect(upload)
    if _may_be_csv(media_type):
        return PayloadFormat.CSV
    raise UnsupportedMediaType(
        f"The media type {printable(shortened(media_type.essence, 100))!r} is not read: send one of {READ_TYPES}."
    )


def missing_extra(payload_format: PayloadFormat) -> UnsupportedMediaType | None:
    """Return the error of a format whose package is not installed; None for a format that needs no extra."""
    if payload_format not in ARROW_FORMATS:
        return None
    return UnsupportedMediaType(
        f"{payload_format.value.capitalize()} input needs PyArrow: install datarobot-drum[arrow] where the server runs."
    )


def _may_be_csv(media_type: MediaType) -> bool:
    """Return True for text, and for a value that is no media type at all."""
    kind, slash, _ = media_type.essence.partition("/")
    return not slash or kind in ("text", "*", "")


def _detect(upload: SpooledUploadFile) -> PayloadFormat:
    """Return the format by the first bytes, which no csv has."""
    upload.seek(0)
    head = upload.read(_HEAD_BYTES)
    upload.seek(0)
    for magic, found in _MAGIC.items():
        if head.startswith(magic) and (not magic.isalnum() or b"\0" in head):
            return found
    return PayloadFormat.JSON if _JSON_HEAD.match(head) else PayloadFormat.CSV
