"""Which requests are forwarded to an engine, and with which path and headers."""

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import BadRequest, NotFound, PayloadTooLarge, RequestError
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.proxy.httpx_requests import NO_BODY, to_httpx
from datarobot_drum.drum.serving.proxy.requests import EngineCall, RawTarget, engine_call, response_fields
from datarobot_drum.drum.settings.engine import EngineSettings
from tests.cases import each_case

ENGINE = EngineSettings("nim", "engine.example", 8000)
BASES = ["/a/directAccess", "/a/nim"]

tokens = st.lists(
    st.sampled_from(
        [b"/", b"..", b".", b"%2e", b"%2F", b"%25", b"\\", b"%5C", b"@", b"%40", b"://", b"%00", b"\n", b";"]
    )
    | st.binary(min_size=1, max_size=3)
).map(b"".join)


def call(
    path: bytes,
    method: str = "GET",
    fields: Mapping[str, str] = MappingProxyType({}),
    *,
    query: bytes = b"",
    engine: EngineSettings = ENGINE,
    max_size: int = 0,
) -> EngineCall:
    return engine_call(
        engine, BASES, method, RawTarget(path, query), Headers(fields.items()), BodyLimits(max_size=max_size)
    )


@example(b"/%2525252525252e%2525252525252e/", b"")
@example(b"/a b", b"")
@example(b"/v1/models", b"a=1")
@given(tokens, st.binary(max_size=10))
def test_no_path_changes_the_address_of_the_engine(path: bytes, query: bytes) -> None:
    try:
        made = call(b"/a/nim" + path, query=query)
    except RequestError as error:
        assert error.status in (400, 404)
        return
    request = to_httpx(made, ENGINE, NO_BODY)
    assert (request.url.host, request.url.port, request.headers["Host"]) == (
        "engine.example",
        8000,
        "engine.example:8000",
    )
    target = path.partition(b"?")[0] or b"/"
    assert made.target.startswith(target) and target.startswith(b"/") and not target.startswith(b"//")
    assert b".." not in unquote_to_bytes(target).split(b"/")
    assert all(0x20 < byte < 0x7F for byte in made.target)


@each_case(
    ("path", "target"),
    [
        (b"/a/nim", b"/"),
        (b"/a/nim/x", b"/x"),
        (b"//a/nim/x", b"/x"),
        (b"/%61/n%69m/%78", b"/%78"),
        (b"/a%2Fdirect%41ccess/nim", b"/nim"),
    ],
)
def test_path_below_the_route_is_forwarded(path: bytes, target: bytes) -> None:
    assert call(path).target == target


@each_case("path", [b"/nim/x", b"/a/nimx", b"/a/other", b"/", b""])
def test_path_of_another_route_is_not_found(path: bytes) -> None:
    with pytest.raises(NotFound):
        call(path)


def test_mount_path_is_removed() -> None:
    raw = RawTarget(b"/m%C3%A9/a/nim/x", mount="/mé")
    assert engine_call(ENGINE, BASES, "GET", raw, Headers(), BodyLimits()).target == b"/x"


@each_case("query", [b"a b", b"\x00", b"\r\n", b"\xff"])
def test_query_with_invisible_bytes_is_rejected(query: bytes) -> None:
    with pytest.raises(BadRequest):
        call(b"/a/nim/x", query=query)


@each_case(
    ("method", "fields", "framing"),
    [
        ("GET", {}, []),
        ("HEAD", {}, []),
        ("POST", {}, [(b"Content-Length", b"0")]),
        ("PUT", {"Content-Length": "007"}, [(b"Content-Length", b"7")]),
        ("GET", {"Content-Length": "5"}, [(b"Content-Length", b"5")]),
        ("POST", {"Transfer-Encoding": "Chunked"}, [(b"Transfer-Encoding", b"chunked")]),
        ("POST", {"Transfer-Encoding": "chunked", "Content-Length": "5"}, [(b"Transfer-Encoding", b"chunked")]),
    ],
)
def test_body_has_exactly_one_framing_header(
    method: str, fields: dict[str, str], framing: list[tuple[bytes, bytes]]
) -> None:
    made = call(b"/a/nim/x", method, fields)
    assert [field for field in made.headers if field[0] in (b"Content-Length", b"Transfer-Encoding")] == framing


def test_body_over_max_size_is_rejected() -> None:
    with pytest.raises(PayloadTooLarge):
        call(b"/a/nim/x", "POST", {"Content-Length": "5"}, max_size=4)


CREDENTIALS = [
    "Authorization",
    "X-Forwarded-Authorization",
    "Cookie",
    "X-Api-Key",
    "Api-Key",
    "X-ApiKey",
    "X-Auth-Token",
]
CREDENTIALS += ["X-Access-Token", "X-Amz-Security-Token", "X-Goog-Api-Key"]


@each_case("name", CREDENTIALS)
@each_case("forwards", [True, False])
def test_credentials_are_forwarded_only_if_configured(forwards: bool, name: str) -> None:
    engine = EngineSettings("nim", forwards_authorization=forwards)
    made = call(b"/a/nim/x", fields={name: "secret"}, engine=engine)
    assert ((name.lower().encode(), b"secret") in [(key.lower(), value) for key, value in made.headers]) is forwards


@each_case("name", ["X-Max-Tokens", "Idempotency-Key", "Accept", "X-Keyboard"])
def test_other_headers_are_forwarded(name: str) -> None:
    assert (name.encode(), b"1") in call(b"/a/nim/x", fields={name: "1"}).headers


def test_header_with_an_underscore_is_dropped() -> None:
    assert call(b"/a/nim/x", fields={"Content_Length": "1"}).headers == call(b"/a/nim/x").headers


def test_headers_named_by_connection_are_dropped_from_response() -> None:
    fields = [(b"connection", b"close, X-A"), (b"x-a", b"1"), (b"X-B", b"2"), (b"Transfer-Encoding", b"chunked")]
    assert response_fields(200, fields) == [(b"X-B", b"2")]


@each_case(("host", "url"), [("::1", "http://[::1]:8000"), ("[::1]", "http://[::1]:8000")])
def test_ipv6_address_of_engine_is_in_brackets(host: str, url: str) -> None:
    assert EngineSettings("vllm", host).url == url
