"""The servers of a run: an example model on each server type, as a plain server and as platforms start it."""

import csv
import pickle
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from tests.conformance_clients.checks import Target
from tests.conformance_clients.vertex_paths import HEALTH, PREDICT
from tests.processes import RunningServer, free_port

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL, CHAT = EXAMPLES / "multiclass_wine", EXAMPLES / "chat_echo"
NAME = "Wine cultivars"


def example_row() -> dict[str, float]:
    """Return the first row of the sample, with cells that need all digits of 64-bit floats."""
    with (MODEL / "sample.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    return {name: float(cell) * (1 + 2**-40) for name, cell in row.items()}


def predict_with_the_library(row: Mapping[str, float]) -> tuple[list[str], list[float]]:
    """Return the labels and the probabilities that scikit-learn predicts without a server."""
    model: Any = pickle.loads((MODEL / "model.pkl").read_bytes())
    return list(model.classes_), model.predict_proba(pd.DataFrame([row]))[0].tolist()


@contextmanager
def running_target(server: str, logs: Path, *, platforms: bool) -> Iterator[Target]:
    """Start the servers of one type.

    Args:
        platforms: also start the servers that SageMaker and Vertex AI would start.
    """
    row = example_row()
    labels, expected = predict_with_the_library(row)
    common = {"DRUM_SERVER_TYPE": server, "DRUM_LAME_DUCK_SECONDS": "0"}
    grpc = {"DRUM_GRPC_PORT": str(free_port())} if server == "fastapi" else {}
    with ExitStack() as stack:
        started: list[tuple[RunningServer, str]] = []

        def start(
            name: str, *arguments: str | Path, variables: Mapping[str, str], ready: str = "/readyz", **options: Any
        ) -> str:
            """Start a server without waiting for it; return its URL."""
            log, environment = logs / f"{server}-{name}.log", {**common, **variables}
            running = RunningServer(*arguments, log=log, environment=environment, ready=None, **options)
            started.append((stack.enter_context(running), ready))
            return running.url

        target = Target(server, start("model", "--code-dir", MODEL, variables=grpc), NAME, row, labels, expected)
        target = replace(
            target,
            grpc=f"127.0.0.1:{grpc['DRUM_GRPC_PORT']}" if grpc else "",
            chat=start("chat", "--code-dir", CHAT, variables={}),
        )
        if platforms:
            target = replace(
                target,
                sagemaker=start("sagemaker", **_sagemaker(logs / server)),
                vertex=start("vertex", **_vertex()),
            )
        for running, path in started:
            running.wait_ready(path)
        yield target


def _sagemaker(base: Path) -> dict[str, Any]:
    """Return how SageMaker starts a container, with the model where it unpacks one."""
    shutil.copytree(MODEL, base / "model")
    variables = {"SAGEMAKER_BASE_DIR": str(base), "SAGEMAKER_BIND_TO_PORT": "{port}"}
    return {"variables": variables, "command": _drum("serve"), "ready": "/ping"}


def _vertex() -> dict[str, Any]:
    """Return how Vertex AI starts a container."""
    variables = {
        "AIP_HTTP_PORT": "{port}",
        "AIP_HEALTH_ROUTE": HEALTH,
        "AIP_PREDICT_ROUTE": PREDICT,
        "AIP_STORAGE_URI": str(MODEL),
    }
    return {"variables": variables, "command": _drum("server"), "ready": HEALTH}


def _drum(command: str) -> Sequence[str]:
    return (sys.executable, "-m", "datarobot_drum", command)
