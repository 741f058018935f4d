"""A model that a server compiles while it serves: the same responses before, during and after, on all servers."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.api.all_servers import running_servers
from tests.processes import RunningServer

pytestmark = pytest.mark.process

TABLE = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 3)), columns=["a", "b", "c"])
ROWS = TABLE.head(5).to_csv(index=False)
BAD = "a,b,c\n1,2,\n"


def test_responses_stay_the_same_when_the_model_is_compiled(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(TABLE, np.where(TABLE["a"] > 0, "yes", "no"))
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    with running_servers(tmp_path / "logs", "--code-dir", folder, "--target-type", "binary") as servers:
        before = {name: [_responses(server) for _ in range(2)] for name, server in servers.items()}
        for server in servers.values():
            server.wait_until(partial(_compiled, server), "a compiled model in /info/")
        after = {name: [_responses(server) for _ in range(2)] for name, server in servers.items()}
    assert after == before
    assert len({str(responses) for responses in after.values()}) == 1


def _responses(server: RunningServer) -> list[tuple[int, bytes]]:
    responses = [server.client.post("/predict/", content=body) for body in (ROWS, BAD)]
    return [(response.status_code, response.content) for response in responses]


def _compiled(server: RunningServer) -> bool:
    info = server.client.get("/info/").json()["compiled"]
    return info is not None and info["by"] == "NumPy"
