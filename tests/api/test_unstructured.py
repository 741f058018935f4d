"""Unstructured models: any body in, any body out, the same on every server."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.aborted_responses import disconnect_after_first_chunk, read_until_abort, wait_until_recorded
from tests.api.all_servers import FRAMEWORKS, Servers, running_servers
from tests.api.models import write_code
from tests.api.responses import Response, assert_same_response
from tests.api.streaming_models import FILE, UNSTRUCTURED
from tests.api.test_payloads import message
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

ROUTE = "/predictUnstructured/"
ROUTES = ["/predictUnstructured", ROUTE, "/predictionsUnstructured", "/predictionsUnstructured/"]
EVERY_BYTE = bytes(range(256)) * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("unstructured")


@pytest.fixture(scope="module")
def all_servers(folder: Path) -> Iterator[Servers]:
    model = write_code(folder / "model", UNSTRUCTURED)
    with running_servers(folder, "--code-dir", model, "--target-type", "unstructured") as servers:
        yield servers


@pytest.fixture(scope="module")
def file_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("file")
    model = write_code(folder / "model", FILE)
    environment = {"DRUM_MAX_UPLOAD_SIZE": "0"}
    with running_servers(
        folder, "--code-dir", model, "--target-type", "unstructured", environment=environment, server_types=FRAMEWORKS
    ) as servers:
        yield servers


def act(all_servers: Servers, action: str, body: bytes = b"", path: str = ROUTE, **details: Any) -> Response:
    """Have the model do something; return the response of all servers."""
    params = {"action": action, **details.pop("params", {})}
    return assert_same_response(all_servers, "POST", path, params=params, content=body, **details)


def show(all_servers: Servers, body: bytes, content_type: str | None) -> dict[str, Any]:
    """Return what the hook got."""
    response = act(all_servers, "show", body, headers={"Content-Type": content_type} if content_type else {})
    assert response.status == 200, response.body
    seen: dict[str, Any] = json.loads(response.body)
    return seen


def media_type(response: Response) -> str:
    return dict(response.headers)["content-type"]


# In


@each_case(
    ("content_type", "mimetype", "charset"),
    [
        (None, "text/plain", "utf-8"),
        ("text/anything", "text/anything", "utf-8"),
        ("TEXT/Plain; Charset=UTF-8", "text/plain", "UTF-8"),
        ('application/json; charset="utf-8"; x=y', "application/json", "utf-8"),
    ],
)
def test_text_reaches_the_hook_as_str(
    all_servers: Servers, content_type: str | None, mimetype: str, charset: str
) -> None:
    seen = show(all_servers, "töxt 日本\r\n".encode(), content_type)
    assert (seen["type"], seen["data"]) == ("str", "töxt 日本\r\n")
    assert (seen["mimetype"], seen["charset"]) == (mimetype, charset)


@each_case("charset", ["latin-1", "utf-16", "shift_jis"])
def test_text_is_decoded_with_its_charset(all_servers: Servers, charset: str) -> None:
    text = "日本" if charset == "shift_jis" else "äöü"
    seen = show(all_servers, text.encode(charset), f"text/my_text;charset={charset}")
    assert (seen["data"], seen["charset"]) == (text, charset)


@each_case(
    "content_type",
    ["application/octet-stream", "application/vnd.api+json", "nonsense"],
)
def test_other_media_types_reach_the_hook_as_bytes(all_servers: Servers, content_type: str) -> None:
    seen = show(all_servers, EVERY_BYTE, content_type)
    assert (seen["type"], bytes.fromhex(seen["data"])) == ("bytes", EVERY_BYTE)
    assert (seen["mimetype"], "charset" in seen) == (content_type, False)


def test_the_hook_gets_the_charset_of_bytes(all_servers: Servers) -> None:
    seen = show(all_servers, b"\xe4", "application/octet-stream;charset=latin-1")
    assert (seen["type"], seen["data"], seen["charset"]) == ("bytes", "e4", "latin-1")


@each_case(("content_type", "kind"), [(None, "str"), ("text/x", "str"), ("image/png", "bytes")])
def test_the_hook_gets_an_empty_body(all_servers: Servers, content_type: str | None, kind: str) -> None:
    seen = show(all_servers, b"", content_type)
    assert (seen["type"], seen["data"]) == (kind, "")


@each_case(
    ("body", "content_type"),
    [
        (b"a=1&b=%20+x&a=2", "application/x-www-form-urlencoded"),
        (
            b'--b\r\nContent-Disposition: form-data; name="X"\r\n\r\n\x00\xff\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
        (b"no form at all", "multipart/form-data"),
        (EVERY_BYTE, "multipart/form-data; boundary=b"),
    ],
    ids=["urlencoded", "multipart", "multipart without boundary", "multipart that is none"],
)
def test_a_form_reaches_the_hook_unchanged(all_servers: Servers, body: bytes, content_type: str) -> None:
    for path in (ROUTE, "/invocations"):
        response = act(all_servers, "echo", body, path, headers={"Content-Type": content_type})
        assert (response.status, response.body) == (200, body)
        seen = json.loads(act(all_servers, "headers", body, path, headers={"Content-Type": content_type}).body)
        assert seen["type"] == content_type


def test_a_large_chunked_body_reaches_the_hook_unchanged(server: RunningServer) -> None:
    pieces = [bytes([number % 256]) * 1_000_003 for number in range(12)]
    response = server.client.post(
        ROUTE, params={"action": "echo"}, content=iter(pieces), headers={"Content-Type": "image/png"}
    )
    assert response.content == b"".join(pieces)


def test_the_first_value_of_a_repeated_query_key_counts(all_servers: Servers) -> None:
    response = assert_same_response(all_servers, "POST", ROUTE + "?a=1&a=2&b=&c&%C3%A4=%20+%2B")
    assert json.loads(response.body)["query"] == {"a": "1", "b": "", "c": "", "ä": "  +"}


def test_the_hook_finds_headers_in_any_case(all_servers: Servers) -> None:
    seen = json.loads(act(all_servers, "headers", headers={"x-oNe": "1", "X-TWO": "2"}).body)
    assert {"X-One", "X-Two", "Host", "X-Request-Id"} <= set(seen["names"])
    assert seen["names"] == [name.title() for name in seen["names"]]
    assert seen["found"] == {"x-one": "1", "X-ONE": "1", "X-One": "1", "missing": None}


@each_case(
    ("body", "charset", "text"),
    [
        (b"a", "klingon", "'klingon' is not known"),
        (b"\xff", "utf-8", "not utf-8 text"),
        (b"abc", "utf-16", "not utf-16 text"),
    ],
)
def test_undecodable_text_gets_422(all_servers: Servers, body: bytes, charset: str, text: str) -> None:
    response = act(all_servers, "show", body, headers={"Content-Type": f"text/plain; charset={charset}"})
    assert response.status == 422
    assert text in message(response)


def test_bytes_with_an_unknown_charset_are_not_decoded(all_servers: Servers) -> None:
    assert show(all_servers, b"\xff", "image/png;charset=klingon")["charset"] == "klingon"


@each_case(
    ("body", "content_type", "expected"),
    [
        (b"one\r\ntwo", "text/plain; charset=klingon", "text/plain klingon 5"),
        (b"\xff\n", None, "text/plain utf-8 2"),
        (b"", "image/png", "image/png None 0"),
        (EVERY_BYTE * 20_000, "multipart/form-data; boundary=b", "multipart/form-data None 11"),
    ],
    ids=["text", "no type", "empty", "large"],
)
def test_a_hook_may_take_the_body_as_a_file(
    file_servers: Servers, body: bytes, content_type: str | None, expected: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = assert_same_response(file_servers, "POST", ROUTE, content=body, headers=headers)
    assert response.body.decode() == f"{len(body)} {hashlib.sha256(body).hexdigest()} {expected}"


# Out


@each_case(
    ("action", "body", "content_type"),
    [
        ("text", "tëxt".encode(), "text/plain;charset=utf-8"),
        ("bytes", b"\x00\xff", "application/octet-stream;charset=utf-8"),
        ("empty", b"", "text/plain;charset=utf-8"),
        ("mimetype", "<p>ä</p>".encode(), "text/html;charset=utf-8"),
        ("charset", b"\xe4", "text/plain;charset=latin-1"),
        ("both", "ä".encode("utf-16"), "text/x;charset=utf-16"),
        ("binary-charset", b"\xe4", "application/octet-stream;charset=latin-1"),
        ("number", b"5", "application/json;charset=utf-8"),
        ("list", b'["a","b"]', "application/json;charset=utf-8"),
    ],
)
def test_the_return_value_of_the_hook_is_the_response(
    all_servers: Servers, action: str, body: bytes, content_type: str
) -> None:
    response = act(all_servers, action)
    assert (response.status, response.body, media_type(response)) == (200, body, content_type)


def test_every_path_variant_responds(all_servers: Servers) -> None:
    bodies = {path: act(all_servers, "text", path=path).body for path in (*ROUTES, "/invocations", "/invocations/")}
    assert bodies == dict.fromkeys(bodies, "tëxt".encode())


@each_case(
    ("action", "text"),
    [
        ("none", "returned None"),
        ("triple", "returned a tuple"),
        ("bad-details", "dict of mimetype and charset"),
        ("bad-charset", "'klingon', which is not known"),
        ("unencodable", "not latin-1"),
        ("split-header", "no header can carry"),
        ("raise", "ValueError: the model said no"),
        ("stream-fails-first", "ValueError: not even one"),
        ("stream-number-first", "returned an int"),
    ],
)
def test_invalid_output_gets_500(all_servers: Servers, action: str, text: str) -> None:
    response = act(all_servers, action)
    assert (response.status, media_type(response)) == (500, "application/json")
    assert text in message(response)


@each_case("action", ["teapot", "stream-teapot-first"])
def test_a_custom_http_error_sets_the_response(all_servers: Servers, action: str) -> None:
    response = act(all_servers, action)
    assert (response.status, dict(response.headers)["x-drum-user-http-error"]) == (418, "true")
    assert json.loads(response.body) == {"message": "short and stout"}


# Streams


@each_case(
    ("action", "body", "content_type"),
    [
        ("stream", "ä".encode() + b"\xffc", "text/plain;charset=utf-8"),
        ("stream-bytes", b"ab", "application/octet-stream;charset=utf-8"),
        ("stream-lines", b"one\ntwo\n", "text/plain;charset=utf-8"),
        ("stream-async", "aä".encode(), "text/plain;charset=utf-8"),
        ("stream-typed", "ab".encode("utf-16"), "text/x;charset=utf-16"),
        ("stream-large", b"".join(bytes([n]) * 100_000 for n in range(50)), "application/octet-stream;charset=utf-8"),
        ("stream-empty", b"", "application/octet-stream;charset=utf-8"),
    ],
)
def test_an_iterator_is_streamed(all_servers: Servers, action: str, body: bytes, content_type: str) -> None:
    response = act(all_servers, action)
    assert (response.status, response.body, media_type(response)) == (200, body, content_type)
    assert "content-length" not in dict(response.headers)


@each_case("action", ["stream-fails-later"])
def test_an_error_after_the_first_chunk_aborts_the_response(server: RunningServer, action: str) -> None:
    status, came = read_until_abort(server, ROUTE, params={"action": action})
    assert status == 200
    assert b"ab".startswith(came)
    assert server.client.post(ROUTE, params={"action": "text"}).status_code == 200


@each_case("action", ["endless", "endless-async"])
def test_a_disconnect_closes_the_generator_and_frees_its_slot(
    server: RunningServer, server_type: str, folder: Path, action: str
) -> None:
    mark = f"{server_type}-{action}"
    assert disconnect_after_first_chunk(server, ROUTE, params={"action": action, "mark": mark}).startswith(b"xxx")
    wait_until_recorded(server, folder, mark)
    assert server.client.post(ROUTE, params={"action": "text"}).status_code == 200


# Other routes


@each_case(
    ("path", "form"),
    [("/predict/", False), ("/predict/", True), ("/predictions/", False), ("/predictionsStream/", True)],
)
def test_structured_routes_name_the_right_route(all_servers: Servers, path: str, form: bool) -> None:
    details: dict[str, Any] = {"files": {"X": b"a\n1\n"}} if form else {"content": b"a\n1\n"}
    response = assert_same_response(all_servers, "POST", path, **details)
    assert response.status == 422
    assert message(response).endswith("use /predictUnstructured/.")


def test_unstructured_routes_name_the_right_route(echo_servers: Servers) -> None:
    for path in ROUTES:
        response = assert_same_response(echo_servers, "POST", path, content=b"a\n1\n")
        assert (path, response.status) == (path, 422)
        assert message(response).endswith("use /predict/.")


def test_chat_and_models_routes_respond_404(all_servers: Servers) -> None:
    assert assert_same_response(all_servers, "GET", "/models").status == 404
    assert assert_same_response(all_servers, "POST", "/chat/completions", json={"messages": []}).status == 404


def test_capabilities_name_no_format(all_servers: Servers) -> None:
    response = assert_same_response(all_servers, "GET", "/capabilities/")
    assert json.loads(response.body)["supported_payload_formats"] == {}
