"""Output of real servers: flushed prints of a model, and log lines as JSON."""

import json
from pathlib import Path

import pytest

from tests.cases import each_case
from tests.cli.commands import FASTAPI_2, FLASK, GUNICORN, GUNICORN_2, Setup, write_model
from tests.cli.waiting_requests import predict
from tests.processes import RunningServer

pytestmark = pytest.mark.process

PRINTING = '''
"""Prints without a flush: while it loads, in `score`, and in a thread once the file `print-now` exists."""

import threading
import time
from pathlib import Path

import pandas as pd


def load_model(code_dir):
    threading.Thread(target=print_later, args=(Path(code_dir).parent / "print-now",), daemon=True).start()
    print("printed while loading")
    return "model"


def print_later(trigger):
    while not trigger.exists():
        time.sleep(0.01)
    print("printed in the background")


def score(data, model, **kwargs):
    print("printed in score")
    return pd.DataFrame({"Predictions": [1.0] * len(data)})
'''


@each_case("setup", [FLASK, GUNICORN_2, FASTAPI_2], ids=str)
def test_model_output_is_flushed_while_the_server_runs(tmp_path: Path, setup: Setup) -> None:
    words = ("--code-dir", write_model(tmp_path, PRINTING), "--target-type", "regression")
    # PYTHONUNBUFFERED of the machine would disable buffering.
    environment = {**setup.environment, "PYTHONUNBUFFERED": "", "DRUM_LAME_DUCK_SECONDS": "0"}
    with RunningServer(*words, log=tmp_path / "log", environment=environment) as server:
        server.wait_until(lambda: "printed while loading" in server.log(), "output of load_model")
        assert predict(server).status_code == 200
        server.wait_until(lambda: "printed in score" in server.log(), "output of score")
        (tmp_path / "print-now").touch()
        server.wait_until(
            lambda: server.log().count("printed in the background") == setup.workers, "output of each thread"
        )
        server.stop()
    assert "Traceback" not in server.log()


@each_case("setup", [FLASK, GUNICORN, FASTAPI_2], ids=str)
def test_log_lines_are_json_objects_if_configured(tmp_path: Path, setup: Setup) -> None:
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
    (record,) = [line for line in lines if line["logger"] == "model"]
    assert (record["level"], record["message"], record["rows"], record["request_id"]) == (
        "WARNING",
        "two\nlines",
        1,
        "r-1",
    )
    (access,) = [line for line in lines if line["logger"] == "drum.access" and "predict" in line["message"]]
    assert access["request_id"] == "r-1"
