"""``drum score --engine ray`` on a cluster of two nodes: the parts of one machine, also after a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.processes import clean_environment

pytestmark = [pytest.mark.process, pytest.mark.filterwarnings("ignore")]

MODEL = """
import pandas as pd


def load_model(code_dir):
    return 1


def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data["a"] / 7, "text": data["b"]})
"""
ROWS = 150_000


def _run(folder: Path, output: str, *more: str) -> subprocess.Popen[bytes]:
    flags = ["--code-dir", str(folder / "model"), "--target-type", "regression", "--input", str(folder / "data")]
    command = [sys.executable, "-m", "datarobot_drum", "score", *flags, "--output", output, *more]
    return subprocess.Popen(command, env={**clean_environment(), "OMP_NUM_THREADS": "1"})


def _scorers() -> list[psutil.Process]:
    def is_scorer(process: psutil.Process) -> bool:
        return "ray::_Scorer" in " ".join(process.info["cmdline"] or [process.info["name"] or ""])

    return [process for process in psutil.process_iter(["cmdline", "name"]) if is_scorer(process)]


def test_parts_equal_the_file_of_one_machine_after_a_killed_worker(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "custom.py").write_text(MODEL)
    (tmp_path / "data").mkdir()
    for number in range(3):
        numbers = range(number * ROWS // 2, (number + 1) * ROWS // 2)
        rows = (f'{row if row < ROWS else row / 2},"x\n{row}"' for row in numbers)
        (tmp_path / "data" / f"{number}.csv").write_text("a,b\n" + "\n".join(rows) + "\n")
    assert _run(tmp_path, str(tmp_path / "one.csv")).wait(500) == 0
    parts = tmp_path / "parts"
    with _run(tmp_path, f"{parts}/", "--engine", "ray", "--address", cluster.address, "--workers", "2") as process:
        while not list(parts.glob("part-*.csv")):
            assert process.poll() is None
            time.sleep(0.02)
        os.kill(_scorers()[0].pid, signal.SIGKILL)
        assert process.wait(500) == 0
    assert (parts / "_SUCCESS").exists()
    files = [path.read_bytes().partition(b"\n") for path in sorted(parts.glob("part-*.csv"))]
    assert files[0][0] + b"\n" + b"".join(rest for _, _, rest in files) == (tmp_path / "one.csv").read_bytes()
