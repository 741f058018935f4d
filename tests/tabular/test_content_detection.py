"""Content that is no csv is named; csv is read whatever it begins with."""

import bz2
import gzip
import io
import json
import lzma
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload, read_blocks, read_table
from datarobot_drum.drum.tabular.readers import read_numeric_or_frame
from tests.cases import each_case

CSV = "town,x\nUlm,0\nBern,1\n"
FRAME = pd.DataFrame({"town": ["Ulm"], "x": [0]})
FORM = "application/x-www-form-urlencoded"


def _written(write: Callable[[Any], Any]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


CONTENT = {
    "JSON records": (b'[{"town":"Ulm","x":0}]', "JSON"),
    "JSON object": (b'{"town":"Ulm","x":0}', "JSON"),
    "JSON split": (json.dumps({"columns": ["town", "x"], "data": [["Ulm", 0]]}).encode(), "JSON"),
    "JSON over several lines": (json.dumps([{"town": "Ulm", "x": 0}] * 2, indent=2).encode(), "JSON"),
    "JSON cut off": (b'[{"town":"Ulm","x":0,"y"', "JSON"),
    "JSON numbers": (b"[1,2,3]", "JSON"),
    "JSON after a byte order mark": (b'\xef\xbb\xbf[{"a":1}]', "JSON"),
    "gzip": (gzip.compress(CSV.encode()), "gzip"),
    "bzip2": (bz2.compress(CSV.encode()), "bzip2"),
    "xz": (lzma.compress(CSV.encode()), "xz"),
    "Zstandard": (b"\x28\xb5\x2f\xfd\x24\x13\x99\x00", "Zstandard"),
    "zip": (b"PK\x03\x04\x14\x00\x00\x00rows.csv\x00\x01", "zip"),
    "xlsx": (b"PK\x03\x04\x14\x00\x00\x00[Content_Types].xml\x00\x01", "xlsx"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "xls"),
    "Parquet": (b"PAR1\x15\x04\x15\x00\xff", "Parquet"),
    "Arrow": (b"ARROW1\x00\x00\xff\xff\xff\xff", "Arrow"),
    "Arrow stream": (b"\xff\xff\xff\xff\x10\x00\x00\x00", "Arrow stream"),
    "pickle": (pickle.dumps(FRAME), "pickle"),
    "npy": (_written(lambda file: np.save(file, np.ones(3))), "NumPy"),
    "npz": (_written(lambda file: np.savez(file, np.ones(3))), "NumPy"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "PDF"),
    "HTML": (b"<!DOCTYPE html>\n<p>a, b</p>", "HTML"),
    "XML": (b'<?xml version="1.0"?><a/>', "XML"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(20), "PNG"),
    "JPEG": (b"\xff\xd8\xff\xe0" + bytes(20), "JPEG"),
    "UTF-16": (CSV.encode("utf-16-le"), "UTF-16"),
    "UTF-16 big endian": (CSV.encode("utf-16-be"), "UTF-16"),
    "UTF-16 with a mark": (CSV.encode("utf-16"), "UTF-16"),
    "UTF-32": (CSV.encode("utf-32-le"), "UTF-32"),
    "multipart without its type": (b'--a\r\nContent-Disposition: form-data; name="X"\r\n\r\na,b\r\n', "multipart"),
    "protobuf": (b"\x0a\x05hello\x10\x96\x01\x1a\xff\xfe\x00", "binary data"),
    "semicolons and decimal commas": (b"a;b\n1,5;2,5\n", "separated by ';'"),
}


def _payload(content: bytes, media_type: str = "", charset: str = "utf-8") -> StructuredPayload:
    return StructuredPayload(io.BytesIO(content), PayloadFormat.CSV, charset, media_type=media_type)


def _rejection(content: bytes, media_type: str = "") -> str:
    try:
        frame = read_table(_payload(content, media_type))
    except UnprocessableInput as error:
        return error.message
    pytest.fail(f"It was read: {frame}")


@each_case("media_type", ["", "text/csv", FORM])
@each_case("name", CONTENT)
def test_other_content_is_named(name: str, media_type: str) -> None:
    content, expected = CONTENT[name]
    assert expected in _rejection(content, media_type)


@each_case("read", [read_numeric_or_frame, lambda payload: list(read_blocks(payload, 10))])
def test_every_reader_names_other_content(read: Callable[[StructuredPayload], Any]) -> None:
    with pytest.raises(UnprocessableInput, match="looks like gzip data"):
        read(_payload(gzip.compress(CSV.encode())))


@each_case("media_type", ["", "text/csv", FORM])
def test_csv_without_line_ends_hints_at_curl(media_type: str) -> None:
    message = _rejection(CSV.replace("\n", "").encode(), media_type)
    assert message.startswith("The csv has a header but no data rows. ") and "--data-binary" in message


def test_header_alone_has_no_hint() -> None:
    assert _rejection(b"town,x\n", FORM) == "The csv has a header but no data rows."


@each_case("content", [b"town=Ulm&x=0", b"X=town%2Cx%0AUlm%2C0"])
def test_urlencoded_form_is_named(content: bytes) -> None:
    assert "looks like a form" in _rejection(content, FORM)


def test_unknown_content_type_of_unreadable_content_is_named() -> None:
    assert "Its Content-Type is application/x-protobuf: send csv" in _rejection(
        b"\x0a\x05a\xff", "application/x-protobuf"
    )


@each_case("content", [b"ORCHARD,b\n1,2,3\n1,2\n", b"PAR1,b\n1,2\n1,2,3\n", b"[a],b\n1,2\n1,2,3\n"])
def test_invalid_csv_that_begins_like_another_format_keeps_its_error(content: bytes) -> None:
    assert _rejection(content).startswith("The csv could not be read: ")


@each_case(
    "content",
    [
        b'{"a": 1}\n{"a": 2}\n',
        b'doc\n"{""a"": 1}"\n"[1, 2]"\n',
        b"[x],{y}\n1,2\n",
        b"<html>,b\n1,2\n",
        b"PAR1,ORC\n1,2\n",
        b"a=b\n1\n",
        b"PK,x\n1,2\n",
        b"a;b\n1\n",
    ],
)
@each_case("media_type", ["", "text/csv", FORM, "image/png", "nonsense"])
def test_readable_csv_is_never_rejected(content: bytes, media_type: str) -> None:
    expected = pd.read_csv(io.BytesIO(content))
    pd.testing.assert_frame_equal(read_table(_payload(content, media_type)), expected)


def test_declared_utf_16_keeps_its_error() -> None:
    with pytest.raises(UnprocessableInput, match="no data rows"):
        read_table(_payload("a,b\n".encode("utf-16"), charset="utf-16"))
