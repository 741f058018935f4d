"""``PredictionServer`` in this process: which app it serves, how it loads, and how it ends."""

import asyncio
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from flask import Flask

from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.process.signals import LOADER_THREAD
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import build_settings
from tests.root_predictors.in_process import ask, predict

pytestmark = pytest.mark.usefixtures("clean_environment")

PATIENCE = 30.0

GOOD = """
import pandas as pd

def load_model(code_dir):
    return "model"

def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data["x"] * 2.0})
"""
BROKEN = "def load_model(code_dir):\n    raise ValueError('no such weights')\n"

APPS: dict[str, Callable[[], Any]] = {"flask": lambda: Flask("mine"), "fastapi": FastAPI}

Make = Callable[..., PredictionServer]


@pytest.fixture(params=["flask", "fastapi"])
def framework(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes servers over one model folder, and closes them all."""
    servers: list[PredictionServer] = []

    def make_server(server_type: str, code: str = GOOD, error_server: bool = False, **details: Any) -> PredictionServer:
        (tmp_path / "custom.py").write_text(code, encoding="utf-8")
        arguments = Arguments(
            code_dir=str(tmp_path), target_type="regression", address=":8080", with_error_server=error_server
        )
        servers.append(PredictionServer(build_settings(arguments, server_type), **details))
        return servers[-1]

    yield make_server
    for server in servers:
        server.close()


def _materialize(server: PredictionServer) -> PredictionServer:
    """With its routes mounted and its model loaded, or failed to load."""
    assert server.materialize() == []
    for thread in threading.enumerate():
        if thread.name == LOADER_THREAD:
            thread.join(PATIENCE)
    return server


def test_the_server_type_decides_which_app_is_built(make: Make, framework: str) -> None:
    server = _materialize(make(framework))
    assert isinstance(server.app, {"flask": Flask, "fastapi": FastAPI}[framework])
    assert predict(server).json() == {"predictions": [2.0, 4.0]}


@pytest.mark.parametrize("server_type", ["flask", "gunicorn", "fastapi"])
def test_an_app_that_is_given_wins_over_the_server_type(make: Make, framework: str, server_type: str) -> None:
    app = APPS[framework]()
    server = _materialize(make(server_type, app=app))
    assert server.app is app
    assert predict(server).json() == {"predictions": [2.0, 4.0]}


def test_the_app_knows_its_server(make: Make, framework: str) -> None:
    server = _materialize(make(framework))
    found = server.app.state.prediction_server if framework == "fastapi" else server.app.extensions["prediction_server"]
    assert found is server


def test_flask_app_is_the_old_name_of_app_and_its_caller_is_told(make: Make, tmp_path: Path) -> None:
    settings = make("fastapi").settings
    app = Flask("mine")
    with pytest.warns(DeprecationWarning, match="app") as caught:
        server = PredictionServer(settings, flask_app=app)
    assert [warning.filename for warning in caught] == [__file__]
    assert predict(_materialize(server)).status_code == 200
    assert server.app is app
    server.close()


def test_the_new_name_of_app_warns_nobody(make: Make, framework: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(framework, app=APPS[framework]())


@pytest.mark.parametrize("mount", ["before", "after"])
def test_an_app_keeps_the_routes_of_its_own(make: Make, framework: str, mount: str) -> None:
    app = APPS[framework]()
    if mount == "before":
        app.get("/mine")(lambda: {"mine": True})
    server = _materialize(make(framework, app=app))
    if mount == "after":
        app.get("/mine")(lambda: {"mine": True})
    answer = ask(server, "GET", "/mine")
    assert (answer.status_code, answer.json()) == (200, {"mine": True})
    assert "X-Drum-Version" in answer.headers
    assert ask(server, "GET", "/livez").status_code == 200


def test_a_fastapi_app_keeps_its_own_lifespan(make: Make) -> None:
    events = []

    @asynccontextmanager
    async def own_lifespan(app: FastAPI) -> AsyncIterator[None]:
        events.append("start")
        yield
        events.append("stop")

    async def live() -> None:
        async with server.app.router.lifespan_context(server.app):
            events.append("serve")
            assert server.worker_ctx.is_running

    server = _materialize(make("fastapi", app=FastAPI(lifespan=own_lifespan)))
    asyncio.run(live())
    assert events == ["start", "serve", "stop"]
    assert not server.worker_ctx.is_running


def test_a_flask_server_whose_model_does_not_load_raises(make: Make) -> None:
    server = make("flask", BROKEN)
    with pytest.raises(ModelLoadError, match="no such weights"):
        server.materialize()


def test_a_fastapi_server_whose_model_does_not_load_tells_its_process(make: Make) -> None:
    server = _materialize(make("fastapi", BROKEN))
    assert server.failed
    with pytest.raises(ModelLoadError, match="no such weights"):
        server.raise_load_failure()
    assert ask(server, "GET", "/readyz").status_code == 503


def test_an_error_server_answers_the_cause(make: Make, framework: str) -> None:
    server = _materialize(make(framework, BROKEN, error_server=True))
    server.raise_load_failure()
    answer = predict(server)
    assert (answer.status_code, server.failed) == (513, False)
    assert "no such weights" in answer.json()["message"]
    assert [ask(server, "GET", path).status_code for path in ("/", "/livez", "/readyz")] == [513, 200, 503]


def test_a_folder_without_a_model_is_a_model_that_does_not_load(make: Make, framework: str) -> None:
    server = make(framework, "", error_server=True)
    assert predict(_materialize(server)).status_code == 513


def test_a_worker_that_is_given_is_started_by_whoever_gave_it(make: Make, framework: str) -> None:
    worker_ctx = WorkerCtx()
    server = _materialize(make(framework, worker_ctx=worker_ctx))
    assert ask(server, "GET", "/readyz").json()["reason"] == "worker not running"
    worker_ctx.start()
    assert ask(server, "GET", "/readyz").status_code == 200


def test_a_closed_server_is_not_ready_and_refuses_predictions(make: Make, framework: str) -> None:
    server = _materialize(make(framework))
    server.close()
    server.close()
    assert ask(server, "GET", "/readyz").status_code == 503
    assert predict(server).status_code == 503


def test_a_closed_server_leaves_no_thread_behind(make: Make, framework: str) -> None:
    before = set(threading.enumerate())
    server = _materialize(make(framework))
    assert predict(server).status_code == 200
    server.close()
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(PATIENCE)
    assert not [thread.name for thread in left if thread.is_alive()]
