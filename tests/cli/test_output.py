"""What comes out of real servers: what a model prints, though nobody flushes it, and log lines as JSON."""

import json
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


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_every_log_line_may_be_a_json_object(tmp_path: Path, setup: Setup) -> None:
    code = """
import logging

import pandas as pd


def score(data, model, **kwargs):
    logging.getLogger("model").warning("two\\nlines", extra={"rows": len(data)})
    return pd.DataFrame({"Predictions": [1.0] * len(data)})
"""
    words = ("--code-dir", write_model(tmp_path, code), "--target-type", "regression")
    environment = {**setup.environment, "DRUM_LOG_FORMAT": "json", "DRUM_LAME_DUCK_SECONDS": "0"}
    with RunningServer(*words, log=tmp_path / "log", environment=environment) as server:
        assert server.client.post("/predict/", content=b"a\n1\n", headers={"X-Request-ID": "r-1"}).status_code == 200
        server.stop()
    lines = [json.loads(line) for line in server.log().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (said,) = [line for line in lines if line["logger"] == "model"]
    assert (said["level"], said["message"], said["rows"], said["request_id"]) == ("WARNING", "two\nlines", 1, "r-1")
    (access,) = [line for line in lines if line["logger"] == "drum.access" and "predict" in line["message"]]
    assert access["request_id"] == "r-1"
