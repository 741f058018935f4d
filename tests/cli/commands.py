"""``drum`` as a subprocess, and models that tests control."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.processes import clean_environment

TIMEOUT = 60


@dataclass(frozen=True)
class Setup:
    """A server type and its number of workers."""

    server_type: str
    workers: int = 1

    @property
    def environment(self) -> dict[str, str]:
        return {"DRUM_SERVER_TYPE": self.server_type, "CUSTOM_MODEL_WORKERS": str(self.workers)}

    def __str__(self) -> str:
        return self.server_type if self.workers == 1 else f"{self.server_type}-{self.workers}-workers"


FLASK = Setup("flask")
GUNICORN, GUNICORN_2 = Setup("gunicorn"), Setup("gunicorn", 2)
FASTAPI, FASTAPI_2 = Setup("fastapi"), Setup("fastapi", 2)
SETUPS = (FLASK, GUNICORN, GUNICORN_2, FASTAPI, FASTAPI_2)


def drum(*words: str | Path, environment: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run ``drum`` until it exits."""
    command = [sys.executable, "-m", "datarobot_drum", *map(str, words)]
    variables = {**clean_environment(), **(environment or {})}
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIMEOUT)


GATED = '''
"""Waits in `load_model` while the file `hold-load` exists, and in `score` for the files in column `gate`."""

import time
from pathlib import Path

import pandas as pd


def load_model(code_dir):
    (Path(code_dir).parent / "loading").touch()
    while (Path(code_dir).parent / "hold-load").exists():
        time.sleep(0.01)
    return "model"


def score(data, model, **kwargs):
    for gate in map(Path, data.get("gate", [])):
        gate.with_suffix(".entered").touch()
        while not gate.exists():
            time.sleep(0.01)
    return pd.DataFrame({"Predictions": [1.0] * len(data)})
'''

LABELS = """
import pandas as pd


def load_model(code_dir):
    return "model"


def score(data, model, class_labels, **kwargs):
    return pd.DataFrame([[1.0 / len(class_labels)] * len(class_labels)] * len(data), columns=class_labels)
"""


def write_model(folder: Path, code: str = GATED) -> Path:
    """Write a model folder below ``folder`` with only a ``custom.py``."""
    model = folder / "model"
    model.mkdir()
    (model / "custom.py").write_text(code, encoding="utf-8")
    return model
