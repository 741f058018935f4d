"""The clients, and the environment of each: the current one, or one of its own that is made on first use."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.compare.environments import MeasurementError, python_of
from tests.conformance_clients.checks import Target

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("run_client.py")
TIMEOUT = 600


@dataclass(frozen=True)
class Client:
    """A module of checks, and the requirements of its environment; without any, the current environment has it."""

    title: str
    module: str
    requirements: Sequence[str] = ()
    environment: str = ""


CLIENTS = (
    Client("requests", "requests_client"),
    Client("Triton (KServe, Triton)", "triton_client"),
    Client("MLServer", "mlserver_client", ("mlserver>=1.7,<2", "requests"), "mlserver"),
    Client("Triton, as MLServer installs it", "triton_client", ("mlserver>=1.7,<2", "requests"), "mlserver"),
    Client("MLflow", "mlflow_client", ("mlflow-skinny>=3.1,<4", "pandas", "scipy"), "mlflow"),
    Client("OpenAI", "openai_client"),
    Client("SageMaker", "sagemaker_client", ("sagemaker-core>=2.27,<3",), "sagemaker"),
    Client("Vertex AI", "vertex_client", ("google-cloud-aiplatform[prediction]>=2,<3",), "vertex"),
)


@dataclass(frozen=True)
class ClientResult:
    """The versions of a client and the outcomes of its checks, or why it did not run."""

    title: str
    versions: dict[str, str]
    outcomes: Sequence[dict[str, Any]]
    error: str = ""


def run_client(client: Client, targets: Sequence[Target], below: Path) -> ClientResult:
    """Run the checks of a client on all targets.

    Args:
        below: folder of the environments.
    """
    try:
        python = python_of(client.environment, client.requirements, below) if client.requirements else sys.executable
    except MeasurementError as error:
        return ClientResult(client.title, {}, [], f"does not install here: {error}")
    done = subprocess.run(
        [python, "-W", "ignore", SCRIPT, client.module],
        input=json.dumps([asdict(target) for target in targets]),
        cwd=ROOT,
        env={**os.environ, "NO_PROXY": "127.0.0.1,localhost"},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    if done.returncode:
        return ClientResult(client.title, {}, [], (done.stderr.strip().splitlines() or ["no output"])[-1])
    result = json.loads(done.stdout)
    return ClientResult(client.title, result["versions"], result["outcomes"])
