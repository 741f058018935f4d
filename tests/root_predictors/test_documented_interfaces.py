"""The interfaces of the design document: code that is written against it works as it is written there."""

import asyncio
import io
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from fastapi import APIRouter, FastAPI
from flask import Flask
from starlette.datastructures import UploadFile

from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.root_predictors.prediction_server import (
    CHUNK_SIZE,
    SPOOL_MAX_SIZE,
    ExecutorWithBackpressure,
    PredictionServer,
    SpooledUploadFile,
)
from datarobot_drum.drum.server import get_fastapi_app

pytestmark = pytest.mark.usefixtures("clean_environment")

MODEL = """
import pandas as pd

def load_model(code_dir):
    return "model"

def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data["x"] * 2.0})
"""


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    """Return the arguments of a server as a dict."""
    (tmp_path / "custom.py").write_text(MODEL, encoding="utf-8")
    return {"code_dir": str(tmp_path), "target_type": "regression", "address": "127.0.0.1:8080"}


def app_client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_prediction_server_takes_a_dict_and_a_fastapi_app(params: dict[str, Any]) -> None:
    app = FastAPI()
    server = PredictionServer(params, app=app)
    assert server.materialize() == []
    assert app.state.prediction_server is server
    async with app_client(app) as client:
        response = await client.post("/predict/", content=b"x\n1\n", headers={"Content-Type": "text/csv"})
    assert (response.status_code, response.json()) == (200, {"predictions": [2.0]})
    server.close()


def test_prediction_server_takes_a_dict_and_a_flask_app(params: dict[str, Any]) -> None:
    app = Flask("mine")
    with pytest.warns(DeprecationWarning, match="app"):
        server = PredictionServer(params, flask_app=app)
    assert server.materialize() == []
    response = app.test_client().post("/predict/", data=b"x\n1\n", content_type="text/csv")
    assert (response.status_code, response.get_json()) == (200, {"predictions": [2.0]})
    server.close()


def test_prediction_server_names_an_unknown_argument(params: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"'target_typ' is no argument of drum server: did you mean 'target_type'\?"):
        PredictionServer({**params, "target_typ": "regression"})


async def test_get_fastapi_app_includes_a_router_below_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("URL_PREFIX", "/models/a")
    router = APIRouter()

    @router.get("/hello")
    def hello() -> str:
        return "hello"

    app = FastAPI()
    assert get_fastapi_app(router, app) is app
    async with app_client(get_fastapi_app(router)) as client:
        assert (await client.get("/models/a/hello")).json() == "hello"


async def test_a_spooled_upload_file_takes_over_an_upload() -> None:
    source = UploadFile(io.BytesIO(b"a,b\n1,2\n"), filename="rows.csv", headers=None)
    upload = SpooledUploadFile(source, max_memory=SPOOL_MAX_SIZE)
    assert await upload.read_to_spool() == 8
    with upload:
        assert (upload.filename, upload.size) == ("rows.csv", 8)
        assert upload.read(3) == b"a,b"
        upload.seek(0)
        assert pd.read_csv(upload).to_dict("list") == {"a": [1], "b": [2]}
    upload.close()
    assert (SPOOL_MAX_SIZE, CHUNK_SIZE) == (10 * 1024 * 1024, 64 * 1024)


async def test_the_executor_runs_calls_and_measures_them() -> None:
    executor = ExecutorWithBackpressure(
        max_workers=4, max_queue_depth=100, queue_timeout=30.0, thread_name_prefix="drum-predict-"
    )
    name = await executor.run(lambda: threading.current_thread().name)
    assert name.startswith("drum-predict-")
    assert await executor.run(divmod, 7, 2) == (3, 1)
    metrics = await executor.get_metrics()
    assert (metrics["executor_workers"], metrics["executor_max_queue"], metrics["executor_completed"]) == (4, 100, 2)
    executor.shutdown(wait=True, cancel_futures=False)
    with pytest.raises(RuntimeError):
        await executor.run(int)


async def test_the_executor_raises_a_timeout_error_for_a_rejected_call() -> None:
    executor = ExecutorWithBackpressure(max_workers=1, max_queue_depth=1, queue_timeout=0.05)
    release = threading.Event()
    running = asyncio.ensure_future(executor.run(release.wait))
    await asyncio.sleep(0)
    with pytest.raises(asyncio.TimeoutError):
        await executor.run(time.time)
    with pytest.raises(TimeoutError):
        await executor.run(time.time)
    release.set()
    assert await running
    executor.shutdown()
