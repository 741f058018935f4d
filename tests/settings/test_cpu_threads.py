"""CPU limits from the kernel's files, and the threads of workers."""

import os
from pathlib import Path

import pytest

from datarobot_drum.drum.settings.cpu_threads import THREAD_VARIABLES, available_cpus, plan_threads
from tests.cases import each_case
from tests.cli.commands import write_model
from tests.processes import RunningServer

OWN = len(os.sched_getaffinity(0))


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@each_case(
    ("files", "cores"),
    [
        ({}, OWN),
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "max 100000\n"}, OWN),
        ({"cpu.max": "99900000 100000\n"}, OWN),
        ({"cpu.max": "garbage"}, OWN),
        ({"cpu/cpu.cfs_quota_us": "25000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.25),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, OWN),
        ({"cpu.max": "80000 100000", "outer/cpu.max": "60000 100000", "outer/inner/cpu.max": "90000 100000"}, 0.6),
    ],
    ids=str,
)
def test_available_cpus_are_the_tightest_limit(tmp_path: Path, files: dict[str, str], cores: float) -> None:
    for name, text in files.items():
        write(tmp_path / name, text)
    write(tmp_path / "membership", "0::/outer/inner\n" if "outer/cpu.max" in files else "0::/\n")
    assert available_cpus(tmp_path, tmp_path / "membership") == cores


@each_case(
    ("cores", "workers", "given_threads", "threads"),
    [(8, 2, 0, 4), (2, 4, 0, 1), (0.5, 1, 0, 1), (7.5, 2, 0, 3), (8, 2, 5, 5)],
)
def test_threads_are_divided_among_workers(cores: float, workers: int, given_threads: int, threads: int) -> None:
    plan = plan_threads({}, workers, given_threads, cores)
    assert plan.numeric_threads == threads
    assert plan.variables == dict.fromkeys(THREAD_VARIABLES, str(threads))


def test_existing_thread_variables_are_kept() -> None:
    variables = plan_threads({"OMP_NUM_THREADS": "7"}, 1, 3).variables
    assert "OMP_NUM_THREADS" not in variables
    assert set(variables.values()) == {"7"}  # it also applies to BLAS


REPORT_THREADS = """
import os

import pandas as pd


def score(data, model, **kwargs):
    raise ValueError(f"<{os.environ.get('OMP_NUM_THREADS')}>")
"""


@pytest.mark.process
@each_case(
    ("variables", "threads"),
    [
        (
            {
                "DRUM_SERVER_TYPE": "fastapi",
                "CUSTOM_MODEL_WORKERS": "2",
                "DRUM_NUMERIC_THREADS": "3",
                "OMP_NUM_THREADS": "",
            },
            "3",
        ),
        ({"DRUM_SERVER_TYPE": "fastapi", "OMP_NUM_THREADS": "5"}, "5"),
        ({"DRUM_SERVER_TYPE": "flask", "OMP_NUM_THREADS": ""}, ""),
    ],
    ids=str,
)
def test_thread_variables_are_set_before_libraries_load(
    tmp_path: Path, variables: dict[str, str], threads: str
) -> None:
    words = ("--code-dir", write_model(tmp_path, REPORT_THREADS), "--target-type", "regression")
    environment = {"DRUM_LAME_DUCK_SECONDS": "0", **variables}
    with RunningServer(*words, log=tmp_path / "log", environment=environment) as server:
        response = server.client.post("/predict/", content=b"a\n1\n")
        assert response.json() == {"message": f"ERROR: ValueError: <{threads}>"}
