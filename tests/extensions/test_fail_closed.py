"""An extension that cannot take effect stops the start, or leaves an error server that shows nothing."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from flask import Flask

from datarobot_drum.drum.exceptions import ExtensionError
from datarobot_drum.drum.serving.extensions import extend_app
from datarobot_drum.drum.serving.routes import ROUTES, path_variants
from tests.cases import each_case
from tests.extensions.request_kinds import parse_json, predict, send
from tests.extensions.servers import ExtendedServer

PASSWORD = "hunter2-in-a-url"
ROUTE = "def init_app(app):\n    @app.get('/secret')\n    def secret(): return 'open'\n"
RAISES = f"{ROUTE}    raise RuntimeError('no connection to https://user:{PASSWORD}@auth.example')\n"

INVALID = {
    "coroutine function": ("async def init_app(app): pass", "init_app of custom_flask.py is asynchronous"),
    "generator": ("def init_app(app): yield", "init_app of custom_flask.py is a generator"),
    "asynchronous generator": ("async def init_app(app): yield", "init_app of custom_flask.py is a generator"),
    "wrapped app": ("def init_app(app): return lambda *call: app(*call)", "returned function, which is not used"),
    "another app": ("def init_app(app): return type(app)('new')", "returned Flask, which is not used"),
    "no init_app": ("def setup(app): pass", "custom_flask.py has no function init_app(app)."),
    "init_app is a value": ("init_app = None", "custom_flask.py has no function init_app(app)."),
    "raises": ("def init_app(app):\n    1 / 0", "custom_flask.py failed: custom_flask.py, line 2: ZeroDivisionError"),
    "syntax error": ("def init_app(app) pass", "custom_flask.py, line 1: SyntaxError"),
    "exits": ("def init_app(app): raise SystemExit(0)", "SystemExit"),
}


@pytest.fixture(autouse=True)
def own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extension that is imported here is no module of the next test."""
    for name in ("custom_flask", "custom_fastapi"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def _extend(folder: Path, source: str, name: str = "custom_flask.py") -> bool:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    return extend_app(Flask("app"), folder, "flask")


@each_case("case", INVALID)
def test_extension_that_cannot_take_effect_is_an_error(tmp_path: Path, case: str) -> None:
    source, sentence = INVALID[case]
    with pytest.raises(ExtensionError) as raised:
        _extend(tmp_path, source)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@each_case("source", ["def init_app(app): pass", "def init_app(app): return app"])
def test_extension_returns_nothing_or_the_app(tmp_path: Path, source: str) -> None:
    assert _extend(tmp_path, source)


@each_case(("framework", "other"), [("flask", "custom_fastapi.py"), ("fastapi", "custom_flask.py")])
def test_extension_of_the_other_framework_alone_is_an_error(tmp_path: Path, framework: str, other: str) -> None:
    (tmp_path / other).write_text("def init_app(app): pass")
    with pytest.raises(ExtensionError, match="only DRUM_SERVER_TYPE"):
        extend_app(Flask("app") if framework == "flask" else FastAPI(), tmp_path, framework)


MISSPELT = [
    "custom_fast_api.py", "custom_fastapi.PY", "custom-fastapi.py", "custom_fatsapi.py", "custom_Flask.py",
    "custom_flask_app.py", "flask_custom.py", "custom_flask/__init__.py", "nested/custom_Flask.py", "custom_flask",
]  # fmt: skip


@each_case("name", MISSPELT)
def test_misspelt_extension_is_an_error(tmp_path: Path, name: str) -> None:
    right = "custom_fastapi.py" if "f" in name.lower() and "api" in name.lower() else "custom_flask.py"
    with pytest.raises(ExtensionError, match=f"must be the file {right}"):
        _extend(tmp_path, "def init_app(app): pass", name)


@each_case("name", ["custom_Flask.py"])
def test_misspelt_file_without_init_app_is_a_warning(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert not _extend(tmp_path, "VALUE = 1", name)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert name in caplog.text


@each_case("name", ["custom_model.py", "fastapi.py", "custom.md"])
def test_other_files_are_no_extensions(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not _extend(tmp_path, "def init_app(app): pass", name)
    assert not caplog.records


def test_misspelt_file_beside_the_right_one_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "custom_flask_old.py").write_text("def init_app(app): pass")
    assert _extend(tmp_path, "def init_app(app): pass")


FASTAPI_FAILURES = {
    "middleware constructor": (
        "class Broken:\n"
        "    def __init__(self, app): raise RuntimeError('no key')\n"
        "def init_app(app): app.add_middleware(Broken)\n"
    ),
    "lifespan": (
        "from contextlib import asynccontextmanager\n"
        "@asynccontextmanager\n"
        "async def lifespan(app):\n"
        "    raise RuntimeError('no key')\n"
        "    yield\n"
        "def init_app(app): app.router.lifespan_context = lifespan\n"
    ),
}


@pytest.mark.process
@each_case("case", FASTAPI_FAILURES)
def test_server_stops_when_extension_fails_after_init_app(tmp_path: Path, case: str) -> None:
    with ExtendedServer(tmp_path, "fastapi", source=FASTAPI_FAILURES[case]) as server:
        assert server.wait() == 1
    assert "custom_fastapi.py" in server.log() and "RuntimeError: no key" in server.log()
    assert "Traceback" not in server.log()


@pytest.fixture(scope="module", params=["flask", "gunicorn", "fastapi"])
def error_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExtendedServer]:
    """An error server whose extension added an unguarded route before it raised."""
    yield from _run_error_server(tmp_path_factory.mktemp("failed"), request.param, RAISES)


@pytest.fixture(scope="module", params=FASTAPI_FAILURES)
def late_error_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExtendedServer]:
    """An error server whose extension fails after ``init_app``."""
    yield from _run_error_server(tmp_path_factory.mktemp("failed"), "fastapi", FASTAPI_FAILURES[request.param])


def _run_error_server(folder: Path, server_type: str, source: str) -> Iterator[ExtendedServer]:
    with ExtendedServer(folder, server_type, source=source, arguments=["--with-error-server"]) as server:
        server.wait_until(lambda: server.status("/") == 513, "513 from /")
        yield server


_LIVENESS = {"/livez", "/livez/", "/v2/health/live", "/v2/health/live/"}


def _open_routes(server: ExtendedServer) -> dict[str, int]:
    """GET routes that respond with anything but an error and are no probes of the process."""
    paths = {path for route in ROUTES if route.method == "GET" for path in path_variants(route, "")}
    statuses = {path: server.status(path) or 0 for path in {*paths, "/secret"} - _LIVENESS}
    return {path: status for path, status in statuses.items() if status < 400}


@pytest.mark.process
def test_error_server_of_failed_extension_serves_nothing_else(error_server: ExtendedServer) -> None:
    assert error_server.status("/livez") == 200
    assert error_server.status("/readyz") == 503
    assert _open_routes(error_server) == {}


@pytest.mark.process
def test_error_server_of_failed_extension_keeps_the_cause_in_the_log(error_server: ExtendedServer) -> None:
    outcomes = [predict(error_server, {}), send(error_server, "GET", "/", {}), send(error_server, "GET", "/health", {})]
    assert [outcome.status for outcome in outcomes] == [513, 513, 513]
    assert {parse_json(outcome)["message"] for outcome in outcomes} == {
        "ERROR: The extension of this server failed; the cause is in its log."
    }
    assert "RuntimeError: no connection to https://user:****@auth.example" in error_server.log()
    assert PASSWORD not in error_server.log()


@pytest.mark.process
@each_case("path", ["/readyz", "/readyz/", "/livez", "/nothing", "/openapi.json"])
def test_error_server_of_failed_extension_shows_no_cause(error_server: ExtendedServer, path: str) -> None:
    body = send(error_server, "GET", path, {}).body
    assert not [detail for detail in (b"no connection", b"RuntimeError", b"auth.example") if detail in body]


@pytest.mark.process
@pytest.mark.parametrize("server_type", ["flask", "fastapi"])
def test_extension_of_a_changed_folder_never_runs(tmp_path: Path, server_type: str) -> None:
    marker = tmp_path / "ran"
    source = f"open({str(marker)!r}, 'w')\ndef init_app(app): pass\n"
    server = ExtendedServer(tmp_path, server_type, source=source, arguments=["--with-error-server"])
    (tmp_path / "model" / "model.sha256").write_text(f"{'0' * 64}  custom_{server_type}.py\n")
    with server:
        server.wait_until(lambda: server.status("/") == 513, "513 from /")
        assert _open_routes(server) == {}
        assert b"SHA-256" not in send(server, "GET", "/", {}).body
    assert f"custom_{server_type}.py has another SHA-256 checksum" in server.log()
    assert not marker.exists()


@pytest.mark.process
def test_error_server_of_late_failure_serves_nothing_else(late_error_server: ExtendedServer) -> None:
    assert late_error_server.status("/livez") == 200
    assert _open_routes(late_error_server) == {}
    outcome = predict(late_error_server, {})
    assert outcome.status == 513 and b"no key" not in outcome.body
    assert "RuntimeError: no key" in late_error_server.log()
