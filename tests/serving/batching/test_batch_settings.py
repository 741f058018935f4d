"""Batching is switched by runtime parameters or ``custom.py``, on FastAPI, for structured models; V2 takes part."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.serving.batching.executor import BatchingExecutor, BatchLimits
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import build_settings
from tests.root_predictors.in_process import URL, ask

pytestmark = pytest.mark.usefixtures("clean_environment")

CODE = """
import pandas as pd

def load_model(code_dir):
    return "model"

def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data["x"] * 2.0})

def score_unstructured(model, data, **kwargs):
    return "text"
"""

Make = Callable[..., PredictionServer]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes servers: type of server and target, what ``custom.py`` has on top, parameters without ``DRUM_FASTAPI_``."""
    servers: list[PredictionServer] = []

    def make_server(
        constants: str = "", server_type: str = "fastapi", target_type: str = "regression", **parameters: object
    ) -> PredictionServer:
        (tmp_path / "custom.py").write_text(constants + CODE, encoding="utf-8")
        for name, value in parameters.items():
            monkeypatch.setenv(f"DRUM_FASTAPI_{name}", str(value))
        arguments = Arguments(code_dir=str(tmp_path), target_type=target_type, address=":8080")
        servers.append(PredictionServer(build_settings(arguments, server_type)))
        return servers[-1]

    yield make_server
    for server in servers:
        server.close()


def limits_of(server: PredictionServer) -> BatchLimits | None:
    return server.executor.limits if isinstance(server.executor, BatchingExecutor) else None


def test_batching_is_off_by_default(make: Make) -> None:
    server = make()
    assert (limits_of(server), server.core.batching) == (None, None)


def test_constants_of_model_switch_batching_on(make: Make) -> None:
    assert limits_of(make("MAX_BATCH_SIZE = 8\nBATCH_WAIT_MS = 2.5\n")) == BatchLimits(8, 0.0025)


def test_runtime_parameters_win_over_constants(make: Make) -> None:
    server = make("MAX_BATCH_SIZE = 8\nBATCH_WAIT_MS = 2.5\n", MAX_BATCH_SIZE=32, BATCH_WAIT_MS=1)
    assert limits_of(server) == BatchLimits(32, 0.001)


@pytest.mark.parametrize("size", [0, 1])
def test_runtime_parameter_switches_batching_off(make: Make, size: int) -> None:
    assert limits_of(make("MAX_BATCH_SIZE = 8\n", MAX_BATCH_SIZE=size)) is None


def test_other_servers_and_targets_have_no_batching(make: Make) -> None:
    assert limits_of(make(server_type="flask", MAX_BATCH_SIZE=8)) is None
    assert limits_of(make(server_type="gunicorn", MAX_BATCH_SIZE=8)) is None
    assert limits_of(make(target_type="unstructured", MAX_BATCH_SIZE=8)) is None


def test_zero_queue_timeout_disables_batching(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert limits_of(make(MAX_BATCH_SIZE=8, EXECUTOR_QUEUE_TIMEOUT=0)) is None
    assert "No micro-batching" in caplog.text


def test_concurrent_requests_are_one_batch(make: Make) -> None:
    server = make(MAX_BATCH_SIZE=8)
    server.materialize()
    server.state.wait(30)

    async def ask_at_once() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            return await asyncio.gather(*(client.post("/predict/", content=f"x\n{x}\n") for x in range(6)))

    answers = asyncio.run(ask_at_once())
    assert [answer.json() for answer in answers] == [{"predictions": [2.0 * x]} for x in range(6)]
    batching = ask(server, "GET", "/stats/").json()["batching"]
    assert {name: batching[name] for name in ("enabled", "batches", "calls", "max", "sizes")} == {
        "enabled": True,
        "batches": 1,
        "calls": 6,
        "max": 6,
        "sizes": {"5-8": 1},
    }


def test_sequential_requests_are_batches_of_one(make: Make) -> None:
    server = make(MAX_BATCH_SIZE=8)
    server.materialize()
    server.state.wait(30)
    for x in range(3):
        assert ask(server, "POST", "/predict/", content=f"x\n{x}\n").json() == {"predictions": [2.0 * x]}
    assert ask(server, "GET", "/stats/").json()["batching"]["sizes"] == {"1": 3}


Json = Mapping[str, object]


def infer_path(server: PredictionServer) -> str:
    assert server.core.v2 is not None
    return f"/v2/models/{server.core.v2.models.names[0]}/infer"


def column(*cells: float) -> dict[str, object]:
    return {"name": "x", "datatype": "FP64", "shape": [len(cells), 1], "data": cells}


def infer_at_once(server: PredictionServer, documents: Sequence[Json]) -> list[httpx.Response]:
    async def send_all() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            return await asyncio.gather(*(client.post(infer_path(server), json=document) for document in documents))

    return asyncio.run(send_all())


def record_rows(server: PredictionServer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of rows of each later prediction."""
    assert server.predictor is not None
    rows: list[int] = []
    predict = server.predictor.predict

    def predict_and_record(data: Any) -> Predictions:
        rows.append(len(data))
        return predict(data)

    monkeypatch.setattr(server.predictor, "predict", predict_and_record)
    return rows


def test_concurrent_v2_requests_share_a_prediction(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    server = make(MAX_BATCH_SIZE=16)
    server.materialize()
    server.state.wait(30)
    documents = [{"id": f"r{x}", "inputs": [column(x + 0.5)]} for x in range(6)]
    infer_at_once(server, documents)  # the trial, which predicts one by one, too
    rows = record_rows(server, monkeypatch)
    together = infer_at_once(server, documents)
    assert rows == [6]
    assert [(each.json()["id"], each.json()["outputs"][0]["data"]) for each in together] == [
        (f"r{x}", [2.0 * (x + 0.5)]) for x in range(6)
    ]
    alone = [ask(server, "POST", infer_path(server), json=document) for document in documents]
    assert [each.content for each in alone] == [each.content for each in together]
    assert ask(server, "GET", "/stats/").json()["batching"]["sizes"] == {"5-8": 2, "1": 6}


def test_faulty_v2_requests_fail_alone(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    server = make(MAX_BATCH_SIZE=16)
    server.materialize()
    server.state.wait(30)
    infer_at_once(server, [{"inputs": [column(x + 0.5)]} for x in range(4)])
    rows = record_rows(server, monkeypatch)
    wrong_output: Json = {"inputs": [column(1.5)], "outputs": [{"name": "no"}]}
    wrong_shape: Json = {"inputs": [{**column(1.5), "shape": [2, 1]}]}
    several: Json = {"inputs": [column(3.5, 4.5)]}
    responses = infer_at_once(server, [{"inputs": [column(2.5)]}, wrong_output, wrong_shape, several])
    assert [response.status_code for response in responses] == [200, 400, 400, 200]
    assert [response.json()["outputs"][0]["data"] for response in (responses[0], responses[3])] == [[5.0], [7.0, 9.0]]
    assert all(list(response.json()) == ["error"] for response in responses[1:3])
    assert rows == [4]
