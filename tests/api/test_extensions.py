"""``custom_flask.py`` and ``custom_fastapi.py``: authentication and more routes, on all three servers."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from tests.api.all_servers import Servers, running_servers
from tests.api.responses import assert_same_response
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

EXAMPLE = Path(__file__).parents[2] / "examples" / "bearer_token"
TOKEN = "a-token-that-no-log-shows"
CREDENTIAL = {"type": "credential", "payload": {"credentialType": "api_token", "apiToken": TOKEN}}
KNOWN = {"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "extension"}
OTHERS = {"flask": "custom_fastapi.py", "gunicorn": "custom_fastapi.py", "fastapi": "custom_flask.py"}


@pytest.fixture(scope="module")
def guarded_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    environment = {"MLOPS_RUNTIME_PARAM_ACCESS_TOKEN": json.dumps(CREDENTIAL)}
    logs = tmp_path_factory.mktemp("guarded")
    with running_servers(logs, "--code-dir", EXAMPLE, environment=environment) as servers:
        yield servers


@each_case("token", [None, "Bearer wrong", "Bearer", TOKEN, "Bearer \xe4"])
def test_no_route_responds_without_the_token(guarded_servers: Servers, token: str | None) -> None:
    headers = {} if token is None else {"Authorization": token.encode("latin-1")}
    headers["X-Request-ID"] = b"extension"
    for path in ("/info/", "/stats/", "/capabilities/", "/docs", "/openapi.json", "/nothing", "/livez/more"):
        response = assert_same_response(guarded_servers, "GET", path, headers=headers)
        assert (path, response.status) == (path, 401)
        assert response.body == b'{"message":"ERROR: A valid token is needed."}'


def test_probes_respond_without_the_token(guarded_servers: Servers) -> None:
    for path in ("/", "/ping", "/ping/", "/health/", "/livez", "/readyz", "/readyz/"):
        assert (path, assert_same_response(guarded_servers, "GET", path).status) == (path, 200)


def _echo_app() -> FastAPI:
    """An app with a websocket route, guarded by the example's middleware."""
    spec = importlib.util.spec_from_file_location("bearer_token_extension", EXAMPLE / "custom_fastapi.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app = FastAPI()
    app.add_middleware(module.RequireToken, expected=KNOWN["Authorization"].encode())

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")

    return app


def test_websockets_need_the_token() -> None:
    client = TestClient(_echo_app())
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/echo"):
        pass
    assert refused.value.code == 1008
    with client.websocket_connect("/echo", headers=KNOWN) as websocket:
        assert websocket.receive_text() == "hello"


def test_with_the_token_everything_is_as_it_was(guarded_servers: Servers) -> None:
    content = (EXAMPLE / "sample.csv").read_bytes()
    answer = assert_same_response(guarded_servers, "POST", "/predict/", content=content, headers=KNOWN)
    assert (answer.status, answer.body) == (200, b'{"predictions":[6.0,20.0]}')


def test_the_token_is_in_no_log(guarded_servers: Servers) -> None:
    assert_same_response(guarded_servers, "GET", f"/nothing/{TOKEN}", headers=KNOWN)
    assert not [name for name, server in guarded_servers.items() if TOKEN in server.log()]


def _model(folder: Path, **files: str) -> Path:
    folder.mkdir()
    (folder / "custom.py").write_text((EXAMPLE / "custom.py").read_text())
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


BROKEN = {
    "only the other framework's": ({}, "only DRUM_SERVER_TYPE"),
    "without init_app": ({"custom_flask": "", "custom_fastapi": ""}, "has no function init_app"),
    "raises": (
        {"custom_flask": "def init_app(app): 1 / 0", "custom_fastapi": "def init_app(app): 1 / 0"},
        "line 1: Zero",
    ),
}


@pytest.mark.parametrize(
    ("server_type", "case"),
    [
        ("flask", "only the other framework's"),
        ("gunicorn", "without init_app"),
        ("fastapi", "raises"),
    ],
)
def test_a_server_does_not_start_without_its_extension(tmp_path: Path, server_type: str, case: str) -> None:
    files, cause = BROKEN[case]
    files = files or {OTHERS[server_type].removesuffix(".py"): "def init_app(app): pass"}
    folder = _model(tmp_path / "model", **files)
    server = RunningServer(
        "--code-dir", folder, "--target-type", "regression",
        log=tmp_path / "log", environment={"DRUM_SERVER_TYPE": server_type}, ready=None,
    )  # fmt: skip
    with server:
        assert server.wait() == (3 if server_type == "gunicorn" else 1)
    assert cause in server.log()
    assert "Traceback" not in server.log()
