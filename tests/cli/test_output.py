"""What a model prints, on real servers: it arrives while the server runs, though nobody flushes it."""

from pathlib import Path

import pytest

from tests.cli.commands import SETUPS, Setup, write_model
from tests.cli.waiting_requests import predict
from tests.processes import RunningServer

pytestmark = pytest.mark.process

PRINTING = '''
"""Prints without a flush: while it loads, in `score`, and in a thread once a file called `speak` is there."""

import threading
import time
from pathlib import Path

import pandas as pd


def load_model(code_dir):
    threading.Thread(target=speak, args=(Path(code_dir).parent / "speak",), daemon=True).start()
    print("said while loading")
    return "model"


def speak(wish):
    while not wish.exists():
        time.sleep(0.01)
    print("said in the background")


def score(data, model, **kwargs):
    print("said in score")
    return pd.DataFrame({"Predictions": [1.0] * len(data)})
'''


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_what_a_model_prints_arrives_while_its_server_runs(tmp_path: Path, setup: Setup) -> None:
    words = ("--code-dir", write_model(tmp_path, PRINTING), "--target-type", "regression")
    # Python would not hold anything back if the machine's own environment said so.
    environment = {**setup.environment, "PYTHONUNBUFFERED": "", "DRUM_LAME_DUCK_SECONDS": "0"}
    with RunningServer(*words, log=tmp_path / "log", environment=environment) as server:
        server.wait_until(lambda: "said while loading" in server.log(), "word from load_model")
        assert predict(server).status_code == 200
        server.wait_until(lambda: "said in score" in server.log(), "word from score")
        (tmp_path / "speak").touch()
        server.wait_until(lambda: server.log().count("said in the background") == setup.workers, "word of each thread")
        server.stop()
    assert "Traceback" not in server.log()
