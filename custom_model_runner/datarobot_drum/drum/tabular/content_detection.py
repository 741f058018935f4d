"""Name the format of content that could not be read as csv, by its first bytes. Only errors need it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from datarobot_drum.drum.error_text import printable, shortened
from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular.decoded_text import find_codec
from datarobot_drum.drum.tabular.payload import StructuredPayload

HEAD_BYTES = 64 * 1024

_SEND_CSV = "send csv (text/csv) or Matrix Market (text/mtx)"
_SEND_ARROW = "send it as application/vnd.apache.arrow.stream"
_UNPACK = "unpack it, or send it with the header Content-Encoding: gzip"

_MAGIC: dict[bytes, tuple[str, str]] = {
    b"\x1f\x8b": ("gzip data", _UNPACK),
    b"PAR1": ("Parquet", "send it as application/vnd.apache.parquet"),
    b"ARROW1": ("Arrow (Feather)", _SEND_ARROW),
    b"\xff\xff\xff\xff": ("an Arrow stream", _SEND_ARROW),
    b"FEA1": ("Feather version 1", _SEND_CSV),
    b"ORC": ("ORC", _SEND_CSV),
    b"Obj\x01": ("Avro", _SEND_CSV),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("Excel (xls)", "save the sheet as csv"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", "unpack it"),
    b"BZh": ("bzip2", "unpack it"),
    b"\xfd7zXZ\x00": ("xz", "unpack it"),
    b"\x04\x22\x4d\x18": ("LZ4", "unpack it"),
    b"\xff\x06\x00\x00sNaPpY": ("Snappy", "unpack it"),
    b"7z\xbc\xaf\x27\x1c": ("7-Zip", "unpack it"),
    b"Rar!\x1a\x07": ("RAR", "unpack it"),
    b"\x80\x02": ("a pickle", _SEND_CSV),
    b"\x80\x03": ("a pickle", _SEND_CSV),
    b"\x80\x04": ("a pickle", _SEND_CSV),
    b"\x80\x05": ("a pickle", _SEND_CSV),
    b"\x93NUMPY": ("NumPy (npy)", _SEND_CSV),
    b"\x89HDF": ("HDF5", _SEND_CSV),
    b"SQLite format 3\x00": ("SQLite", _SEND_CSV),
    b"%PDF-": ("a PDF", _SEND_CSV),
    b"\x89PNG": ("an image (PNG)", _SEND_CSV),
    b"\xff\xd8\xff": ("an image (JPEG)", _SEND_CSV),
    b"GIF8": ("an image (GIF)", _SEND_CSV),
    b"RIFF": ("an image (WebP), or audio", _SEND_CSV),
    b"II*\x00": ("an image (TIFF)", _SEND_CSV),
    b"MM\x00*": ("an image (TIFF)", _SEND_CSV),
    b"RDX": ("R data", _SEND_CSV),
}
"""Formats by their first bytes, with what to do."""

_ZIPPED = {
    b"xl/": ("Excel (xlsx)", "save the sheet as csv"),
    b"[Content_Types].xml": ("Excel (xlsx)", "save the sheet as csv"),
    b"docProps/": ("Excel (xlsx)", "save the sheet as csv"),
    b"opendocument.spreadsheet": ("an OpenDocument sheet", "save the sheet as csv"),
    b".npy": ("NumPy (npz)", _SEND_CSV),
}
_JSON = re.compile(r"""\s*(\{\s*"(?:[^"\\]|\\.)*"\s*:|\[\s*[\[{])""")
_MARKUP = re.compile(r"\s*<(!doctype html|html|\?xml|[a-z][\w:.-]*[\s/>])", re.IGNORECASE)
_FORM_PART = re.compile(r"--.*\n?content-disposition:", re.IGNORECASE)
_FORM = re.compile(r"[\w.\[\]%+-]+=[^\s&=,;]*(&[\w.\[\]%+-]+=[^\s&=,;]*)*")

_FORM_TYPE = "application/x-www-form-urlencoded"
"""curl sends it by default, also with csv."""

_CSV_TYPES = frozenset(
    {
        "",
        "text/csv",
        "application/csv",
        "text/plain",
        "application/octet-stream",
        _FORM_TYPE,
    }
)

_CURL = "If curl sent it, use --data-binary: -d removes the line ends."


def explain_unreadable(payload: StructuredPayload, message: str) -> str:
    """Return the message for a payload that could not be read as csv, with what it looks like.

    Args:
        message: the error of the csv reader; kept for content that may be csv.
    """
    payload.file.seek(0)
    head = payload.file.read(HEAD_BYTES)
    found = describe_content(head, payload.charset, payload.media_type)
    return found or next((f"{message} {hint}" for hint in _csv_hints(head, payload)), message)


def describe_content(head: bytes, charset: str = "utf-8", media_type: str = "") -> str:
    """Return a sentence about content of another format than csv; empty for text that may be csv."""
    if binary := _binary_format(head, charset):
        return _sentence(*binary)
    try:
        text, _ = find_codec(charset).decode(head, "ignore" if len(head) >= HEAD_BYTES else "strict")
    except (UnprocessableInput, UnicodeError):
        return ""
    return describe_text(text.removeprefix("\ufeff"), is_form=media_type == _FORM_TYPE)


def _binary_format(head: bytes, charset: str) -> tuple[str, str] | None:
    if head.startswith(b"PK\x03\x04"):
        return next((found for name, found in _ZIPPED.items() if name in head), ("a zip file", "unpack it"))
    for magic, found in _MAGIC.items():
        # A csv may begin with these letters, too.
        if head.startswith(magic) and (not magic.isalnum() or _is_binary(head)):
            return found
    wide = _wide_charset(head)
    is_declared = "16" in charset or "32" in charset
    action = f"send it in UTF-8, or name its charset in Content-Type (text/csv; charset={wide.lower()})"
    return (f"{wide} text", action) if wide and not is_declared else None


def _is_binary(head: bytes) -> bool:
    return any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head[:1024])


def _wide_charset(head: bytes) -> str:
    """Return the charset of text with two or four bytes a character; empty for other content."""
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "UTF-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    zeros = [head[start::4].count(0) * 8 > len(head) for start in range(4)]  # more than half of them
    if sum(zeros) == 3:
        return "UTF-32"
    return "UTF-16" if zeros in ([True, False] * 2, [False, True] * 2) else ""


def describe_text(text: str, *, is_form: bool = False) -> str:
    """Return a sentence about text of another format than csv; empty if it may be csv.

    Args:
        is_form: its content type is that of a form.
    """
    if _JSON.match(text) or _is_json(text):
        return _sentence("JSON", "send it as application/json, JSON lines as application/x-ndjson")
    if markup := _MARKUP.match(text):
        return _sentence("HTML" if "html" in markup[0].lower() else "XML", _SEND_CSV)
    if text[:14].lower() == "%%matrixmarket":
        return _sentence("Matrix Market", "send it as text/mtx, or as a file that ends in .mtx")
    if _FORM_PART.match(text):
        return _sentence("a form (multipart/form-data)", "send its boundary in Content-Type, or the csv alone")
    if is_form and _FORM.fullmatch(text.strip()):
        return _sentence("a form (name=value)", "send the csv as the body, or as the part `X` of multipart/form-data")
    return ""


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _sentence(kind: str, action: str) -> str:
    return f"The input looks like {kind}, not csv: {action}."


def _csv_hints(head: bytes, payload: StructuredPayload) -> Iterator[str]:
    """Yield what may be wrong with text, and with its content type."""
    first, line_end, _ = head.partition(b"\n")
    if not line_end and b"\r" not in head and len(head) < HEAD_BYTES:
        yield _CURL
    for separator, name in ((b";", "';'"), (b"\t", "a tab"), (b"|", "'|'")):
        if separator in first and b"," not in first:
            yield f"The columns seem to be separated by {name}: send the csv with commas."
    if payload.media_type not in _CSV_TYPES:
        yield f"Its Content-Type is {printable(shortened(payload.media_type, 60))}: {_SEND_CSV}."
    if _is_binary(head):
        yield f"It seems to be binary data: {_SEND_CSV}."
