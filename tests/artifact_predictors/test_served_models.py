"""Each framework's model in a server process: predictions over HTTP equal the framework's own."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial

import numpy as np
import pytest

from tests.artifact_predictors.trained_models import SAVE, TASKS, Saved, Task
from tests.processes import RunningServer

pytestmark = pytest.mark.process

SERVED = {
    "scikit-learn": "multilabel",
    "skops": "regression",
    "xgboost": "binary",
    "lightgbm": "multiclass",
    "catboost": "multiclass",
    "onnx": "binary",
}
"""One target type each; test_target_framework_matrix.py has the others, in process."""

Served = Mapping[str, tuple[RunningServer, Task, Saved]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server per framework, started concurrently."""
    with ExitStack() as stack:
        found = {}
        for framework, kind in SERVED.items():
            folder, task = tmp_path_factory.mktemp(framework), TASKS[kind]
            saved = SAVE[framework](folder, task)
            server = RunningServer(
                "--code-dir",
                folder,
                *task.arguments,
                log=tmp_path_factory.mktemp("logs") / f"{framework}.log",
                environment={"DRUM_SERVER_TYPE": "fastapi", "DRUM_LAME_DUCK_SECONDS": "0"},
                ready=None,
            )
            found[framework] = stack.enter_context(server), task, saved
        for server, _, _ in found.values():
            server.wait_until(partial(_is_ready, server), "200 from /readyz")
        yield found
        for server, _, _ in found.values():
            server.send_signal(signal.SIGTERM)
        for server, _, _ in found.values():
            assert server.wait() == 0, server.log_end()


def _is_ready(server: RunningServer) -> bool:
    return server.status("/readyz") == 200


@pytest.mark.parametrize("framework", SERVED)
def test_predictions_equal_the_frameworks_own(served: Served, framework: str) -> None:
    server, task, saved = served[framework]
    response = server.client.post(
        "/predict/", content=task.data.to_csv(index=False), headers={"Content-Type": "text/csv"}
    )
    assert response.status_code == 200, response.text
    rows = response.json()["predictions"]
    values = np.array([list(row.values()) if task.labels else [row] for row in rows])
    assert not task.labels or list(rows[0]) == list(task.labels)
    assert np.array_equal(values, np.asarray(saved.own(task.data), dtype=np.float64).reshape(len(rows), -1))


@pytest.mark.parametrize("framework", SERVED)
def test_info_route_returns_the_framework(served: Served, framework: str) -> None:
    name = served[framework][0].client.get("/info/").json()["predictor"]
    assert name == ("scikit-learn" if framework == "skops" else framework)
