"""``multipart/form-data`` on ``/predict/``: what counts is the part ``X``."""

from typing import Any

import pytest

from tests.api.all_servers import Servers
from tests.api.responses import Response, assert_same_response
from tests.api.test_payloads import CSV, MTX, message
from tests.cases import each_case

pytestmark = pytest.mark.process

MISSING = "ERROR: Samples should be provided as:   - a csv or mtx under `X` form-data param key.  - binary data."
HEADERS = {"Content-Type": "multipart/form-data; boundary=frontier"}


def send(all_servers: Servers, **details: Any) -> Response:
    return assert_same_response(all_servers, "POST", "/predict/", **details)


def part(head: str, content: bytes = CSV) -> bytes:
    return b"--frontier\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"


X_FILE = 'Content-Disposition: form-data; name="X"; filename="x.csv"'
END = b"--frontier--\r\n"


@pytest.fixture(scope="module")
def csv_response(echo_servers: Servers) -> Response:
    return send(echo_servers, content=CSV)


@pytest.fixture(scope="module")
def mtx_response(echo_servers: Servers) -> Response:
    return send(echo_servers, content=MTX, headers={"Content-Type": "text/mtx"})


@each_case(
    "file",
    [
        ("rows.csv", CSV, "text/csv"),
        ("rows.csv", CSV, "application/octet-stream"),
        ("", CSV, "text/csv"),
        ("日本 ü.csv", CSV, "text/csv"),
        ('quo"te;.csv', CSV, "text/csv"),
        ("../../etc/passwd", CSV, "text/csv"),
        ("mtx", CSV, "text/csv"),
    ],
    ids=["csv", "octets", "no name", "unicode name", "odd name", "path", "mtx without dot"],
)
def test_a_csv_file_is_predicted(echo_servers: Servers, csv_response: Response, file: Any) -> None:
    assert send(echo_servers, files={"X": file}) == csv_response


@each_case(
    "file",
    [("x.mtx", MTX), ("x.MTX", MTX, "application/octet-stream"), ("x", MTX, "text/mtx"), ("日.mtx", MTX, "text/csv")],
    ids=["name", "upper case", "type", "name over type"],
)
def test_a_matrix_market_file_is_detected_by_name_or_type(
    echo_servers: Servers, mtx_response: Response, file: Any
) -> None:
    assert send(echo_servers, files={"X": file}) == mtx_response


def test_a_plain_field_is_read_as_csv(echo_servers: Servers, csv_response: Response) -> None:
    body = part('Content-Disposition: form-data; name="X"') + END
    assert send(echo_servers, content=body, headers=HEADERS) == csv_response


def test_other_fields_and_files_are_ignored(echo_servers: Servers, csv_response: Response) -> None:
    others = [("y", ("y.csv", b"\xff" * 1000)), ("x", ("x.csv", b"a")), ("", ("e", b"b"))]
    files: Any = [*others, ("X", ("x.csv", CSV)), *others]
    assert send(echo_servers, files=files, data={"note": "ü"}) == csv_response


def test_the_charset_of_the_part_is_used(echo_servers: Servers) -> None:
    latin = ("x.csv", "ä\nö\n".encode("latin-1"), "text/csv; charset=latin-1")
    assert send(echo_servers, files={"X": latin}) == send(echo_servers, content="ä\nö\n".encode())


@each_case(
    "body",
    [
        b"preamble to ignore\r\n" + part(X_FILE) + END,
        part(X_FILE) + END + b"epilogue",
        part(X_FILE) + b"--frontier--",
        part(X_FILE.replace('name="X"', "name=X")) + END,
        part(X_FILE + "; filename*=utf-8''y.mtx") + END,
        part(X_FILE + '; filename*0="b;filename="b;filename*=b') + END,
    ],
    ids=["preamble", "epilogue", "no last newline", "token", "extended", "garbled"],
)
def test_variants_of_the_format_are_read_alike_or_rejected(
    echo_servers: Servers, csv_response: Response, body: bytes
) -> None:
    response = send(echo_servers, content=body, headers=HEADERS)
    assert response == csv_response or (response.status == 400 and message(response))


@each_case(
    "media_type", ["multipart/form-data; boundary=frontier", 'Multipart/FORM-DATA; Boundary="frontier"; charset=utf-8']
)
def test_the_media_type_of_a_form_is_case_insensitive(
    echo_servers: Servers, csv_response: Response, media_type: str
) -> None:
    assert send(echo_servers, content=part(X_FILE) + END, headers={"Content-Type": media_type}) == csv_response


@each_case(
    "body",
    [END, part(X_FILE.replace('"X"', '"x"')) + END, part("Content-Type: text/csv") + END, part(X_FILE[:-6]) + END],
    ids=["no parts", "x", "nameless", "broken disposition"],
)
def test_a_form_without_x_is_unprocessable(echo_servers: Servers, body: bytes) -> None:
    response = send(echo_servers, content=body, headers=HEADERS)
    if b"broken" not in body and response.status != 200:
        assert (response.status, message(response)) == (422, MISSING)


@each_case("content", [b"", b"a,b\n", b"\xff\n1\n"], ids=["empty", "header alone", "not utf-8"])
def test_an_unreadable_x_is_unprocessable(echo_servers: Servers, content: bytes) -> None:
    response = send(echo_servers, files={"X": ("x.csv", content)})
    assert response.status == 422
    message(response)


def test_json_in_x_is_unprocessable(echo_servers: Servers) -> None:
    assert send(echo_servers, files={"X": ("x.json", b"{}", "application/json")}).status == 422


def test_two_parts_x_are_unprocessable(echo_servers: Servers) -> None:
    response = send(echo_servers, files=[("X", ("a.csv", CSV)), ("X", ("b.csv", CSV))])
    assert response.status == 422
    assert "2 parts" in message(response)


@each_case(
    "media_type",
    [
        "multipart/form-data",
        'multipart/form-data; boundary=""',
        'multipart/form-data;charset*0="b;charset="b;charset*=b',
    ],
)
def test_a_form_without_a_boundary_is_a_bad_request(echo_servers: Servers, media_type: str) -> None:
    response = send(echo_servers, content=part(X_FILE) + END, headers={"Content-Type": media_type})
    assert response.status == 400
    assert "boundary" in message(response)


@each_case(
    "body",
    [
        b"",
        part(X_FILE),
        part(X_FILE)[:-2] + b"--frontie",
        b"--other\r\n\r\n--other--\r\n",
        b"--frontier\r\nno colon\r\n\r\n" + CSV + END,
        (part(X_FILE) + END).replace(b"\r\n", b"\n"),
    ],
    ids=[
        "empty",
        "no end",
        "half an end",
        "another boundary",
        "no colon",
        "bare newlines",
    ],
)
def test_a_broken_form_is_a_bad_request(echo_servers: Servers, body: bytes) -> None:
    response = send(echo_servers, content=body, headers=HEADERS)
    assert response.status == 400
    assert "multipart" in message(response)


def test_a_part_of_more_than_10_mib_is_predicted(echo_servers: Servers) -> None:
    content = b"a,b\n" + b"1,%s\n" % (b"x" * 10_999) * 1000
    response = send(echo_servers, files={"X": ("x.csv", content)})
    assert response == send(echo_servers, content=content)
    assert response.status == 200
