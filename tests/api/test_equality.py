"""The three servers respond alike: valid and invalid requests, every method and path, repeated headers."""

import gzip
from itertools import product

import pytest

from tests.api.all_servers import Servers
from tests.api.responses import assert_same_response
from tests.cases import each_case

pytestmark = pytest.mark.process

FORM = b'--b\r\nContent-Disposition: form-data; name="X"; filename="x.csv"\r\n\r\na,b\n1,2\n\r\n--b--\r\n'
BODIES = {
    "table": b"a,b\n1,2\n3,4\n",
    "matrix": b"%%MatrixMarket matrix array real general\n1 1\n1.5\n",
    "form": FORM,
    "json": b'{"a": 1}',
    "latin-1": "ä,b\n1,ü\n".encode("latin-1"),
    "ragged": b"a,b\n1,2,3\n",
    "header": b"a,b\n",
    "empty": b"",
    "bytes": bytes(range(256)) * 10,
    "gzip": gzip.compress(b"a,b\n1,2\n"),
    "failing": b"action\nraise\n",
    "teapot": b"action\nhttp-418\n",
    "nan": b"action\nnan\nnan\nnan\n",
}
MEDIA_TYPES = {
    "none": None,
    "csv": "text/csv",
    "latin-1": "text/csv; charset=latin-1",
    "matrix": "text/mtx",
    "form": "multipart/form-data; boundary=b",
    "no boundary": "multipart/form-data",
    "json": "application/json",
    "urlencoded": "application/x-www-form-urlencoded",
    "charset": "text/csv; charset=hex",
}
# Bodies of every kind with the types that fit and some that do not. test_any_input.py draws from all combinations.
REQUESTS = [
    ("table", "none", "plain"),
    ("table", "csv", "plain"),
    ("table", "charset", "plain"),
    ("table", "matrix", "plain"),
    ("table", "form", "plain"),
    ("table", "urlencoded", "gzip"),
    ("matrix", "matrix", "plain"),
    ("matrix", "csv", "plain"),
    ("form", "form", "plain"),
    ("form", "no boundary", "plain"),
    ("form", "csv", "gzip"),
    ("json", "json", "plain"),
    ("json", "none", "plain"),
    ("json", "charset", "gzip"),
    ("latin-1", "latin-1", "plain"),
    ("latin-1", "csv", "plain"),
    ("ragged", "csv", "plain"),
    ("ragged", "urlencoded", "plain"),
    ("header", "none", "plain"),
    ("header", "latin-1", "gzip"),
    ("empty", "csv", "plain"),
    ("empty", "form", "plain"),
    ("empty", "matrix", "gzip"),
    ("bytes", "none", "plain"),
    ("bytes", "json", "plain"),
    ("bytes", "no boundary", "gzip"),
    ("gzip", "csv", "gzip"),
    ("gzip", "csv", "plain"),
    ("failing", "csv", "plain"),
    ("failing", "latin-1", "plain"),
    ("teapot", "urlencoded", "plain"),
    ("nan", "none", "plain"),
]


@each_case(("body", "media_type", "coding"), REQUESTS)
def test_servers_respond_alike_to_predictions(echo_servers: Servers, body: str, media_type: str, coding: str) -> None:
    fields = {"Content-Type": MEDIA_TYPES[media_type], "Content-Encoding": "gzip" if coding == "gzip" else None}
    headers = {name: value for name, value in fields.items() if value is not None}
    response = assert_same_response(echo_servers, "POST", "/predict/", content=BODIES[body], headers=headers)
    assert response.status in (200, 400, 418, 422, 500)
    assert response.status != 500 or body == "failing"
    assert dict(response.headers)["content-type"] == "application/json"


@each_case("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_servers_respond_alike_to_every_method_and_path(
    echo_servers: Servers, raw_servers: Servers, method: str
) -> None:
    names = ["", "ping", "health", "livez", "readyz", "capabilities", "predict", "predictions", "invocations", "other"]
    for servers, name, slash in product([echo_servers, raw_servers], names, ["", "/"]):
        path = f"/{name}{slash}".replace("//", "/")
        response = assert_same_response(servers, method, path, content=b"a\n1\n")
        assert response.status in (200, 404, 405)


@each_case(
    ("name", "values"),
    [
        ("Content-Encoding", ("gzip", "identity")),
        ("Content-Encoding", ("", "")),
        ("Content-Encoding", ("a", "")),
        ("X-Request-ID", ("text/csv", "text/mtx")),
        ("X-Request-ID", ("a", "")),
        ("Accept", ("text/csv", "text/mtx")),
        ("Accept", ("", "")),
        ("X-Other", ("a", "")),
    ],
    ids=str,
)
def test_servers_read_a_repeated_header_alike(echo_servers: Servers, name: str, values: tuple[str, str]) -> None:
    headers = [("X-Request-ID", "one")] if name != "X-Request-ID" else []
    headers += [(name, value) for value in values]
    response = assert_same_response(echo_servers, "POST", "/predict/", content=BODIES["table"], headers=headers)
    assert response.status in (200, 415, 422)
