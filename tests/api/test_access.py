"""API keys, cross-origin requests and rate limits: the same on every server, whatever the request."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import psutil
import pytest
import requests
from openai import OpenAI
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.api.all_servers import Servers, running_servers
from tests.api.connections import exchange, request_bytes, status_of
from tests.api.models import write_code
from tests.api.responses import assert_same_response, request_all, same_response
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

FIRST, SECOND, THIRD = "first-key-of-the-api-tests", "second-key-of-the-api-tests", "third-key-of-the-api-tests"
TOKEN = "platform-token-of-the-tests"
PREFIX = "/a/b"
ORIGIN = "https://app.example.com"
AUTHORIZED = {"Authorization": f"Bearer {FIRST}"}
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}

MODEL = """
import pandas as pd


def score(data, model, **kwargs):
    return pd.DataFrame({"answer": data["prompt"].astype(str)})


def chat(completion_create_params, model, headers):
    secret = [name for name, value in headers.items() if "api-tests" in value]
    text = completion_create_params["messages"][-1]["content"] + "".join(secret)
    return iter([text]) if completion_create_params.get("stream") else text
"""

FASTAPI_EXTENSION = """
from fastapi import Request, WebSocket


def init_app(app):
    @app.middleware("http")
    async def mark(request, call_next):
        response = await call_next(request)
        response.headers["X-Saw"] = request.headers.get("authorization", "no credential")
        return response

    @app.get("/own")
    def own(request: Request):
        return dict(request.headers)

    @app.websocket("/socket")
    async def socket(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text(websocket.headers.get("authorization", "no credential"))
        await websocket.close()
"""

FLASK_EXTENSION = """
from flask import request


def init_app(app):
    @app.after_request
    def mark(response):
        response.headers["X-Saw"] = request.headers.get("Authorization", "no credential")
        return response

    @app.get("/own")
    def own():
        return {name.lower(): value for name, value in request.headers.items()}
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_code(tmp_path_factory.mktemp("model"), MODEL)
    (folder / "custom_fastapi.py").write_text(FASTAPI_EXTENSION)
    (folder / "custom_flask.py").write_text(FLASK_EXTENSION)
    return folder


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(f"# the second team\n{SECOND}\n")
    return file


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory, model: Path, keys_file: Path) -> Iterator[Servers]:
    """Servers with keys, two of them in the environment and one in a file, and with one origin."""
    environment = {
        "URL_PREFIX": PREFIX,
        "TARGET_NAME": "answer",
        "API_TOKEN": TOKEN,
        "DRUM_API_KEYS": f"{FIRST},{THIRD}",
        "DRUM_API_KEYS_FILE": str(keys_file),
        "DRUM_CORS_ORIGINS": ORIGIN,
        "DRUM_METRICS": "all",
        "DRUM_MAX_UPLOAD_SIZE": "1MB",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "authorization",
    }
    arguments = ("--code-dir", model, "--target-type", "textgeneration")
    with running_servers(tmp_path_factory.mktemp("keyed"), *arguments, environment=environment) as servers:
        yield servers


@pytest.fixture(scope="module")
def limited_servers(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Servers]:
    """Servers with keys that reject the fourth request of a day."""
    environment = {"TARGET_NAME": "answer", "DRUM_API_KEYS": f"{FIRST},{SECOND}", "DRUM_RATE_LIMIT": "3/day"}
    arguments = ("--code-dir", model, "--target-type", "textgeneration")
    with running_servers(tmp_path_factory.mktemp("limited"), *arguments, environment=environment) as servers:
        yield servers


@each_case(
    ("method", "path"),
    [
        ("POST", "/predict/"),
        ("POST", "/predictionsStream/"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", "/v2"),
        ("POST", "/v2/models/x/infer"),
        ("GET", "/v2/models/x/ready"),
        ("GET", "/info/"),
        ("GET", "/stats/"),
        ("GET", "/openapi.json"),
        ("GET", "/metrics"),
        ("GET", "/metrics/"),
        ("POST", "/invocations"),
        ("GET", "/docs"),
        ("POST", "/directAccess/v1/x"),
        ("GET", "/nothing"),
        ("DELETE", "/predict/"),
        ("OPTIONS", "/predict/"),
        ("POST", "/ping"),
        ("GET", "/ping/../info/"),
        ("GET", "/ping/%2e%2e/info/"),
        ("GET", "/PING"),
        ("GET", "/ping/x"),
        ("GET", "/ping%00"),
        ("GET", f"/info/?api_key={FIRST}&key={FIRST}&access_token={FIRST}"),
    ],
)
def test_every_route_but_probes_needs_a_key(all_servers: Servers, method: str, path: str) -> None:
    response = assert_same_response(all_servers, method, path, content=b"prompt\nx\n" if method == "POST" else None)
    assert (response.status, dict(response.headers)["www-authenticate"]) == (401, "Bearer")
    assert b"needs an API key" in response.body


@each_case("path", ["", "/", "/ping", "/ping/", "/livez", "/readyz", "/health/", "/v2/health/ready"])
def test_probes_need_no_key(all_servers: Servers, path: str) -> None:
    for method in ("GET", "HEAD"):
        assert assert_same_response(all_servers, method, path).status == 200


def test_routes_of_an_extension_need_a_key(all_servers: Servers) -> None:
    for name, server in all_servers.items():
        url = f"http://127.0.0.1:{server.port}/own"
        assert server.client.get(url).status_code == 401
        assert server.client.get(url, headers=AUTHORIZED).status_code == 200, name


@each_case(
    "headers",
    [
        AUTHORIZED,
        {"authorization": f"bearer {SECOND}"},
        {"AUTHORIZATION": f"BEARER  {THIRD}"},
        {"X-API-Key": SECOND},
        {"x-api-key": THIRD},
        {"Authorization": "Basic abc", "X-API-Key": FIRST},
        {"Authorization": f"Bearer {FIRST}", "X-API-Key": "wrong"},
    ],
)
def test_each_key_is_valid_in_both_headers(all_servers: Servers, headers: dict[str, str]) -> None:
    response = assert_same_response(all_servers, "POST", "/predict/", headers=headers, content=b"prompt\nx\n")
    assert (response.status, response.body) == (200, b'{"predictions":[{"answer":"x"}]}')


@each_case(
    "fields",
    [
        [(b"Authorization", b"")],
        [(b"Authorization", b"Bearer")],
        [(b"Authorization", f"Bearer {FIRST} x".encode())],
        [(b"Authorization", FIRST.encode())],
        [(b"Authorization", f"Bearer{FIRST}".encode())],
        [(b"Authorization", f"Bearer {FIRST}".encode()), (b"Authorization", f"Bearer {FIRST}".encode())],
        [(b"Authorization", b"Basic x"), (b"Authorization", f"Bearer {FIRST}".encode())],
        [(b"X-API-Key", b"")],
        [(b"X-API-Key", FIRST.upper().encode())],
        [(b"X-API-Key", FIRST[:-1].encode())],
        [(b"X-API-Key", f"{FIRST},{THIRD}".encode())],
        [(b"X-API-Key", FIRST.encode()), (b"X-API-Key", FIRST.encode())],
        [(b"X_API_Key", FIRST.encode())],
        [(b"X-API-Key", "schlüssel".encode())],
        [(b"X-API-Key", b"\xff\xfe")],
        [(b"X-API-Key", b"x" * 60_000)],
        [(b"Cookie", f"X-API-Key={FIRST}".encode())],
    ],
)
def test_everything_else_is_no_key(all_servers: Servers, fields: list[tuple[bytes, bytes]]) -> None:
    sent = [*fields, (b"X-Request-ID", b"one")]
    responses = {name: server.client.get("/info/", headers=sent) for name, server in all_servers.items()}
    assert {name: response.status_code for name, response in responses.items()} == dict.fromkeys(responses, 401)
    assert len({response.content for response in responses.values()}) == 1


def test_a_header_that_is_too_long_is_rejected_before_the_key_is_read(all_servers: Servers) -> None:
    responses = request_all(all_servers, "GET", "/info/", headers={"X-API-Key": "x" * 70_000})
    assert {response.status for response in responses.values()} == {431}


@each_case(
    ("framing", "body"),
    [("Content-Length: 100000000", b"x" * 70_000), ("Transfer-Encoding: chunked", b"11170\r\n" + b"x" * 70_000)],
)
def test_a_body_is_not_read_to_its_end_before_the_key(server: RunningServer, framing: str, body: bytes) -> None:
    head = request_bytes(server, f"POST {PREFIX}/predict/ HTTP/1.1", framing)
    assert status_of(exchange(server, head, body)) == 401


def test_old_and_pipelined_requests_need_a_key(server: RunningServer) -> None:
    info = f"GET {PREFIX}/info/ HTTP/1.0"
    assert status_of(exchange(server, request_bytes(server, info))) == 401
    assert status_of(exchange(server, request_bytes(server, info, f"X-API-Key: \t {FIRST} \t"))) == 200
    first = b"GET %s/ping HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n\r\n" % (PREFIX.encode(), FIRST.encode())
    second = request_bytes(server, f"GET {PREFIX}/info/ HTTP/1.1")
    responses = exchange(server, first + second, half_close=True)
    assert b"drumVersion" not in responses


@each_case("target", ["//a/b/info/", "///a/b/info/", "http://127.0.0.1/a/b/info/", "/a/b/info"])
def test_no_form_of_the_target_opens_a_route(server: RunningServer, target: str) -> None:
    response = exchange(server, request_bytes(server, f"GET {target} HTTP/1.1"))
    assert status_of(response) == 401, response
    assert status_of(exchange(server, request_bytes(server, f"GET {target} HTTP/1.1", f"X-API-Key: {FIRST}"))) == 200


def test_head_has_no_body(all_servers: Servers) -> None:
    response = assert_same_response(all_servers, "HEAD", "/info/")
    assert (response.status, response.body) == (401, b"")


def test_a_valid_key_reaches_neither_extension_nor_model(all_servers: Servers) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}]}
    for server in all_servers.values():
        response = server.client.post("/v1/chat/completions", json=body, headers=AUTHORIZED)
        assert response.json()["choices"][0]["message"]["content"] == "hello"
        assert response.headers["X-Saw"] == "no credential"
        headers = {"Authorization": "Bearer of-the-extension", "X-API-Key": FIRST}
        response = server.client.get(f"http://127.0.0.1:{server.port}/own", headers=headers)
        assert response.headers["X-Saw"] == "Bearer of-the-extension"
        assert FIRST not in response.text


def test_an_extension_does_not_see_a_request_without_a_key(all_servers: Servers) -> None:
    for server in all_servers.values():
        assert "X-Saw" not in server.client.get("/info/").headers


def test_a_websocket_needs_a_key(all_servers: Servers) -> None:
    url = f"ws://127.0.0.1:{all_servers['fastapi'].port}/socket"
    with pytest.raises(InvalidStatus) as caught:
        connect(url, proxy=None)
    assert caught.value.response.status_code == 401
    with connect(url, additional_headers=AUTHORIZED, proxy=None) as websocket:
        assert websocket.recv() == "no credential"


def test_the_client_of_openai_works(server: RunningServer) -> None:
    def client(key: str) -> OpenAI:
        http_client = openai.DefaultHttpxClient(trust_env=False)
        return OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0, http_client=http_client)

    for key in (FIRST, SECOND):
        with client(key) as valid:
            completion = valid.chat.completions.create(model="x", messages=[{"role": "user", "content": "hi"}])
            assert completion.choices[0].message.content == "hi"
            stream = valid.chat.completions.create(model="x", messages=[{"role": "user", "content": "hi"}], stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "hi"
    with client("wrong") as invalid, pytest.raises(openai.AuthenticationError, match="not valid") as caught:
        invalid.models.list()
    assert (caught.value.code, caught.value.type) == ("invalid_api_key", "invalid_request_error")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@each_case(
    ("words", "status"),
    [
        (("-H", f"Authorization: Bearer {FIRST}"), "200"),
        (("-H", f"X-API-Key: {SECOND}"), "200"),
        (("-H", f"X-API-Key: {SECOND[:-1]}"), "401"),
        (("-u", f"user:{FIRST}"), "401"),
        ((), "401"),
    ],
)
def test_curl_works(server: RunningServer, words: tuple[str, ...], status: str) -> None:
    command = ["curl", "-q", "-s", "--noproxy", "*", "-o", os.devnull, "-w", "%{http_code}", f"{server.url}/info/"]
    assert subprocess.run([*command, *words], capture_output=True, text=True, check=True).stdout == status


def test_the_document_of_the_server_declares_its_keys(server: RunningServer) -> None:
    document = server.client.get("/openapi.json", headers=AUTHORIZED).json()
    assert document["security"] == [{"DrumBearerKey": []}, {"DrumHeaderKey": []}]


def test_requests_works(server: RunningServer) -> None:
    class Bearer(requests.auth.AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {SECOND}"
            return request

    with requests.Session() as session:
        session.trust_env = False
        assert session.get(f"{server.url}/info/", auth=Bearer()).status_code == 200
        assert session.get(f"{server.url}/info/", auth=("user", FIRST)).status_code == 401


# Cross-origin requests


def test_preflights_are_answered_without_a_key(all_servers: Servers) -> None:
    for path in ("/predict/", "/nothing", "/ping"):
        response = assert_same_response(all_servers, "OPTIONS", path, headers=PREFLIGHT)
        assert (response.status, response.body) == (204, b"")
        headers = dict(response.headers)
        assert headers["access-control-allow-origin"] == ORIGIN
        assert headers["access-control-allow-headers"] == "x-api-key"
        assert "access-control-allow-credentials" not in headers


def test_preflights_of_other_origins_are_rejected(all_servers: Servers) -> None:
    response = assert_same_response(all_servers, "OPTIONS", "/predict/", headers={**PREFLIGHT, "Origin": "https://b.c"})
    assert response.status == 403
    assert "access-control-allow-origin" not in dict(response.headers)


@each_case(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/predict/", AUTHORIZED, 200),
        ("POST", "/predictionsStream/", AUTHORIZED, 200),
        ("POST", "/predict/", {}, 401),
        ("GET", "/nothing", AUTHORIZED, 404),
        ("GET", "/ping", {}, 200),
    ],
)
def test_responses_have_cors_headers(
    all_servers: Servers, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    content = b"prompt\nx\n" if method == "POST" else None
    response = assert_same_response(all_servers, method, path, headers={**headers, "Origin": ORIGIN}, content=content)
    assert response.status == status
    assert dict(response.headers)["access-control-allow-origin"] == ORIGIN
    other = assert_same_response(all_servers, method, path, headers=headers, content=content)
    assert "access-control-allow-origin" not in dict(other.headers)
    assert dict(response.headers)["vary"] == dict(other.headers)["vary"] == "Origin"


def test_there_are_no_cors_headers_by_default(echo_servers: Servers) -> None:
    response = assert_same_response(echo_servers, "GET", "/ping", headers={"Origin": ORIGIN})
    assert not [name for name, _ in response.headers if name.startswith("access-control") or name == "vary"]
    assert assert_same_response(echo_servers, "OPTIONS", "/predict/", headers=PREFLIGHT).status == 405


# Rate limit


def test_each_key_has_its_limit(limited_servers: Servers) -> None:
    for _ in range(3):
        assert assert_same_response(limited_servers, "GET", "/version", headers=AUTHORIZED).status == 200
    responses = request_all(limited_servers, "POST", "/v1/chat/completions", headers=AUTHORIZED, json={})
    for response in responses.values():
        error = httpx.Response(429, content=response.body).json()["error"]
        assert (response.status, error["code"]) == (429, "rate_limit_exceeded")
        assert 0 < int(dict(response.headers)["retry-after"]) <= 86_400 / 3
    assert assert_same_response(limited_servers, "GET", "/version", headers={"X-API-Key": SECOND}).status == 200
    assert assert_same_response(limited_servers, "GET", "/ping", headers=AUTHORIZED).status == 200


def test_guesses_of_an_address_are_limited(limited_servers: Servers) -> None:
    statuses = [
        same_response(
            {
                name: response if response.status == 401 else type(response)(response.status, b"", ())
                for name, response in request_all(
                    limited_servers, "GET", "/version", headers={"X-API-Key": f"guess {number}"}
                ).items()
            }
        ).status
        for number in range(5)
    ]
    assert statuses == [401, 401, 401, 429, 429]


def test_rejections_before_the_executor_are_counted(server: RunningServer) -> None:
    names = [f'drum_rejected_total{{reason="{reason}"}}' for reason in ("unauthorized", "too_large")]

    def counts() -> list[float]:
        lines = server.client.get("/metrics", headers=AUTHORIZED).text.splitlines()
        return [float(line.rpartition(" ")[2]) for name in names for line in lines if line.startswith(name)]

    before = counts()
    assert server.client.post("/predict/", headers={"X-API-Key": "wrong"}, content=b"a\n1\n").status_code == 401
    large = {**AUTHORIZED, "Content-Type": "text/csv"}
    assert server.client.post("/predict/", headers=large, content=b"a\n" + b"1\n" * 600_000).status_code == 413
    server.wait_until(lambda: counts() == [count + 1 for count in before], "the counts of rejections")


# Secrets


def test_keys_appear_nowhere(all_servers: Servers) -> None:
    shown = []
    for server in all_servers.values():
        for path in ("/info/", "/stats/", "/openapi.json", "/capabilities/", f"/{FIRST}"):
            response = server.client.get(path, headers=AUTHORIZED)
            assert path == f"/{FIRST}" or FIRST not in response.text, path
        server.client.post("/predict/", headers={"Authorization": f"Bearer {FIRST}"}, content=b"prompt,b\nx\n")
        lines = [" ".join(process.cmdline()) for process in _processes(server)]
        shown += [server.log(), *lines]
    for secret in (FIRST, SECOND, THIRD, TOKEN):
        assert not [text for text in shown if secret in text]


def _processes(server: RunningServer) -> list[psutil.Process]:
    root = psutil.Process(server.process.pid)
    return [root, *root.children(recursive=True)]


def test_a_renewed_file_needs_no_restart(all_servers: Servers, keys_file: Path) -> None:
    """The last test: it makes the second key invalid."""
    new = "renewed-key-of-the-api-tests"
    keys_file.write_text(f"{new}\n")

    def statuses(server: RunningServer) -> list[int]:
        return [server.client.get("/version", headers={"X-API-Key": key}).status_code for key in (new, SECOND, FIRST)]

    for server in all_servers.values():
        server.wait_until(lambda server=server: statuses(server) == [200, 401, 200], "the renewed key")  # type: ignore[misc]
        assert new not in server.log()


@each_case("value", [",", "a key with blanks", "schlüssel"])
def test_wrong_keys_fail_the_start(tmp_path: Path, model: Path, value: str) -> None:
    server = RunningServer(
        "--code-dir",
        model,
        "--target-type",
        "textgeneration",
        "--with-error-server",
        log=tmp_path / "log",
        environment={"TARGET_NAME": "answer", "DRUM_API_KEYS": value},
        ready=None,
    ).start()
    server.client.close()
    assert server.wait() == 1
    assert "drum: error: Runtime parameter DRUM_API_KEYS has" in server.log()
    assert value == "," or value not in server.log()
