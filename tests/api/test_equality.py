"""The three servers response alike: a generated table of requests, good and bad, on every prediction route."""

import gzip
from itertools import product

import pytest

from tests.api.all_servers import Servers
from tests.api.responses import assert_same_response

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
CODINGS = {"plain": None, "gzip": "gzip"}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("media_type", MEDIA_TYPES)
@pytest.mark.parametrize("body", BODIES)
def test_the_servers_answer_a_prediction_alike(echo_servers: Servers, body: str, media_type: str, coding: str) -> None:
    fields = {"Content-Type": MEDIA_TYPES[media_type], "Content-Encoding": CODINGS[coding]}
    headers = {name: value for name, value in fields.items() if value is not None}
    response = assert_same_response(echo_servers, "POST", "/predict/", content=BODIES[body], headers=headers)
    assert response.status in (200, 400, 418, 422, 500)
    assert response.status != 500 or body == "failing"
    assert dict(response.headers)["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("prefix", ["", "/a/b"], ids=["no prefix", "prefix"])
def test_the_servers_answer_every_method_and_path_alike(
    echo_servers: Servers, raw_servers: Servers, method: str, prefix: str
) -> None:
    all_servers = raw_servers if prefix else echo_servers
    names = ["", "ping", "health", "livez", "readyz", "capabilities", "predict", "predictions", "invocations", "other"]
    for name, slash in product(names, ["", "/"]):
        response = assert_same_response(all_servers, method, f"/{name}{slash}".replace("//", "/"), content=b"a\n1\n")
        assert response.status in (200, 404, 405)


@pytest.mark.parametrize("name", ["Content-Encoding", "X-Request-ID", "Accept", "X-Other"])
@pytest.mark.parametrize("values", [("text/csv", "text/mtx"), ("gzip", "identity"), ("", ""), ("a", "")], ids=str)
def test_the_servers_read_a_repeated_header_alike(echo_servers: Servers, name: str, values: tuple[str, str]) -> None:
    headers = [("X-Request-ID", "one")] if name != "X-Request-ID" else []
    headers += [(name, value) for value in values]
    if name != "X-Request-ID" or any(values):
        response = assert_same_response(echo_servers, "POST", "/predict/", content=BODIES["table"], headers=headers)
        assert response.status in (200, 415, 422)
