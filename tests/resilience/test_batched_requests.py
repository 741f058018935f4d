"""Batched requests on a real server: clients get the same responses as without batching."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from tests.processes import PLAIN, RunningServer
from tests.resilience.connections import Connection, Response, post, request_each, request_once
from tests.resilience.statistics import stats, wait_for, wait_idle

pytestmark = pytest.mark.process

CLIENTS = 64

CUSTOM = '''
"""Doubles `x`, records every row, blocks while there is a file `hold`, and raises for 13."""

import time
from pathlib import Path

import pandas as pd

from datarobot_drum import RuntimeParameters
from datarobot_drum.drum.exceptions import CustomHTTPError

MAX_BATCH_SIZE = 16


def load_model(code_dir):
    return Path(code_dir).parent


def score(data, model, **kwargs):
    with (model / "ran").open("a") as ran:
        ran.write(" ".join(map(str, data["x"])) + "\\n")
    while (model / "hold").exists():
        time.sleep(0.005)
    if (data["x"] == 13).any():
        raise CustomHTTPError(f"13 is not served, nor are its neighbours {list(data['x'])}", 418)
    return pd.DataFrame({"Predictions": data["x"] * 2.0, "of": data["x"]})
'''


class Model:
    """The folder of a model that can be blocked, and the rows of each of its predictions."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "model"
        self.path.mkdir()
        (self.path / "custom.py").write_text(CUSTOM, encoding="utf-8")
        self._hold, self._ran = folder / "hold", folder / "ran"

    def hold(self) -> None:
        self._hold.touch()

    def release(self) -> None:
        self._hold.unlink(missing_ok=True)

    @property
    def ran(self) -> list[list[int]]:
        lines = self._ran.read_text().splitlines() if self._ran.exists() else []
        return [[int(x) for x in line.split()] for line in lines]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(tmp_path_factory.mktemp("batching"))


FASTAPI = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_LAME_DUCK_SECONDS": "0"}


def over(model: Model, **variables: str) -> RunningServer:
    words = ("--code-dir", model.path, "--target-type", "regression")
    return RunningServer(*words, log=model.path.parent / "log", environment={**FASTAPI, **variables})


@pytest.fixture(scope="module")
def server(model: Model) -> Iterator[RunningServer]:
    """A server with two slots whose model is batched and has passed its trial."""
    with over(model, DRUM_FASTAPI_EXECUTOR_WORKERS="2") as server:
        request_while_blocked(server, model, [1, 2, 3])
        yield server


@pytest.fixture(autouse=True)
def let_go(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "model" in request.fixturenames:
        request.getfixturevalue("model").release()


def body(x: int) -> bytes:
    return post(f"x\n{x}\n", "Content-Type: text/csv")


def request_while_blocked(server: RunningServer, model: Model, xs: list[int]) -> list[Response]:
    """Return the responses to requests that all arrived during another prediction."""

    async def ask() -> tuple[Response, list[Response]]:
        model.hold()
        first = asyncio.ensure_future(request_once(server.port, body(0)))
        await asyncio.to_thread(wait_for, server, running=1, waiting=0)
        others = asyncio.ensure_future(request_each(server.port, [body(x) for x in xs]))
        await asyncio.to_thread(wait_for, server, waiting=len(xs))
        model.release()
        return await first, await others

    first, others = asyncio.run(ask())
    assert first.status == 200
    wait_idle(server)
    return others


def content(x: int) -> dict[str, Any]:
    return {"predictions": [2.0 * x], "extraModelOutput": [{"of": x}]}


def test_waiting_requests_become_one_prediction(server: RunningServer, model: Model) -> None:
    before = stats(server)
    xs = list(range(20, 30))
    answers = request_while_blocked(server, model, xs)
    assert [(answer.status, answer.json()) for answer in answers] == [(200, content(x)) for x in xs]
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(xs)
    assert sorted(model.ran[-1]) == xs
    after = stats(server)
    assert after["batching"]["enabled"] and after["batching"]["max_batch_size"] == 16
    assert after["batching"]["batches"] == before["batching"]["batches"] + 2
    assert after["batching"]["sizes"]["9-16"] == 1
    assert after["executor_completed"] == before["executor_completed"] + 11


def test_failing_row_fails_alone_with_its_own_error(server: RunningServer, model: Model) -> None:
    alone = asyncio.run(request_once(server.port, body(13)))
    assert alone.status == 418
    xs = [4, 13, 5, 6, 7]
    answers = request_while_blocked(server, model, xs)
    assert [answer.status for answer in answers] == [200, 418, 200, 200, 200]
    assert (answers[1].body, answers[1].headers.keys()) == (alone.body, alone.headers.keys())
    assert [answer.json() for answer in answers if answer.status == 200] == [content(x) for x in (4, 5, 6, 7)]
    assert stats(server)["batching"]["bisected"] >= 2


def test_other_routes_are_batched_and_large_requests_are_not(server: RunningServer, model: Model) -> None:
    url = server.url
    large = "x\n" + "\n".join(map(str, range(100, 140)))

    def ask(number: int) -> httpx.Response:
        with httpx.Client(timeout=30, **PLAIN) as client:
            return [
                lambda: client.post(url + "/predictions/", content="x\n31\n"),
                lambda: client.post(url + "/invocations", content="x\r\n32"),
                lambda: client.post(url + "/predict/", files={"X": ("x.csv", b"x\n33\n")}),
                lambda: client.post(url + "/predict/", content="y,x\n1,34\n"),
                lambda: client.post(url + "/predict/", content=large),
                lambda: client.post(url + "/predict/", content="x\n"),
                lambda: client.post(url + "/predict/", content=""),
            ][number]()

    async def request_all(pool: ThreadPoolExecutor) -> list[httpx.Response]:
        loop = asyncio.get_running_loop()
        model.hold()
        first = asyncio.ensure_future(request_once(server.port, body(0)))
        await asyncio.to_thread(wait_for, server, running=1)
        others = [loop.run_in_executor(pool, ask, number) for number in range(5)]
        # The large request has started beside the batch.
        await asyncio.to_thread(wait_for, server, running=2, waiting=4)
        others += [loop.run_in_executor(pool, ask, number) for number in range(5, 7)]
        await asyncio.to_thread(wait_for, server, running=2, waiting=6)
        model.release()
        await first
        return await asyncio.gather(*others)

    with ThreadPoolExecutor(7) as pool:
        answers = asyncio.run(request_all(pool))
    assert [answer.status_code for answer in answers] == [200] * 5 + [422] * 2
    assert [answer.json()["predictions"] for answer in answers[:4]] == [[62.0], [64.0], [66.0], [68.0]]
    assert len(answers[4].json()["predictions"]) == 40
    assert {31, 32, 33} in [set(ran) for ran in model.ran]


def test_disconnected_clients_are_not_in_batch(server: RunningServer, model: Model) -> None:
    async def some_leave() -> list[Response]:
        model.hold()
        first = asyncio.ensure_future(request_once(server.port, body(0)))
        await asyncio.to_thread(wait_for, server, running=1)
        connections = [await Connection.open(server.port) for _ in range(6)]
        for x, connection in enumerate(connections):
            await connection.send(body(50 + x))
        await asyncio.to_thread(wait_for, server, waiting=6)
        for connection in connections[::2]:
            connection.abort()
        await asyncio.to_thread(wait_for, server, waiting=3)
        model.release()
        await first
        answers = [await connection.receive() for connection in connections[1::2]]
        for connection in connections:
            connection.close()
        await asyncio.sleep(0)
        return answers

    cancelled = stats(server)["executor_cancelled"]
    assert [answer.json() for answer in asyncio.run(some_leave())] == [content(x) for x in (51, 53, 55)]
    assert sorted(model.ran[-1]) == [51, 53, 55]
    assert wait_idle(server)["executor_cancelled"] == cancelled + 3


def test_slow_batch_keeps_slot_while_clients_get_504(tmp_path: Path) -> None:
    model = Model(tmp_path)
    with over(model, DRUM_CLIENT_REQUEST_TIMEOUT="1") as server:
        model.hold()
        answers = asyncio.run(request_each(server.port, [body(x) for x in range(60, 66)]))
        assert {answer.status for answer in answers} == {504}
        assert wait_for(server, running=1, waiting=0)["executor_timed_out"] == 6
        model.release()
        assert wait_idle(server)["batching"]["running_calls"] == 0
        assert asyncio.run(request_once(server.port, body(7))).json() == content(7)


def test_sixty_four_clients_get_predictions_of_their_rows(tmp_path: Path) -> None:
    data = load_breast_cancer(as_frame=True)
    forest = RandomForestClassifier(200, random_state=0).fit(data.data, data.target)
    (tmp_path / "model").mkdir()
    joblib.dump(forest, tmp_path / "model" / "forest.pkl")
    expected = forest.predict_proba(data.data)
    header = ",".join(data.data.columns)
    rows = [",".join(map(repr, row)) for row in np.asarray(data.data).tolist()[: 4 * CLIENTS]]
    words = ("--target-type", "binary", "--positive-class-label", "1", "--negative-class-label", "0")
    variables = {**FASTAPI, "DRUM_FASTAPI_MAX_BATCH_SIZE": "64", "DRUM_FASTAPI_BATCH_WAIT_MS": "5"}
    server = RunningServer("--code-dir", tmp_path / "model", *words, log=tmp_path / "log", environment=variables)

    async def ask(client: int) -> None:
        connection = await Connection.open(server.port)
        for number in range(client, len(rows), CLIENTS):
            answer = await connection.request(post(f"{header}\n{rows[number]}\n", "Content-Type: text/csv"))
            (found,) = answer.json()["predictions"]
            assert [found["0"], found["1"]] == expected[number].tolist()
        connection.close()

    async def request_all() -> None:
        await asyncio.gather(*map(ask, range(CLIENTS)))

    with server:
        asyncio.run(request_all())
        batching = wait_idle(server)["batching"]
    assert batching["enabled"] and batching["calls"] == len(rows)
    assert batching["max"] > 1 and batching["mean"] > 1
