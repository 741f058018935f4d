"""Metrics of model code in files: those of processes that have ended are merged, and nothing falls or doubles."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from datarobot_drum.drum.serving.metrics.model_files import ModelFiles
from tests.cases import each_case

MODEL = """
from prometheus_client import Counter, Gauge, Histogram
Counter("seen", "Rows", ["kind"]).labels("a").inc(2)
Histogram("took_seconds", "Time", buckets=(1, 2)).observe(1.5)
Gauge("own", "Of a process").set(7)
Gauge("live", "Live", multiprocess_mode="livesum").set(7)
Gauge("most", "Largest", multiprocess_mode="max").set(7)
"""


def run_model(folder: Path, code: str = MODEL) -> None:
    """Run model code in a process that has ended on return."""
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}, check=True
    )


def values(folder: Path) -> dict[str, float]:
    """The samples by name, without labels."""
    return {sample.name: sample.value for metric in ModelFiles(str(folder)).collect() for sample in metric.samples}


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.db")}


def test_counters_of_ended_processes_stay_and_their_gauges_go(tmp_path: Path) -> None:
    for _ in range(3):
        run_model(tmp_path)
    found = values(tmp_path)
    assert (found["seen_total"], found["took_seconds_count"], found["took_seconds_sum"]) == (6, 3, 4.5)
    assert found["most"] == 7
    assert not found.keys() & {"own", "live"}
    assert values(tmp_path) == found


def test_the_number_of_files_does_not_grow_with_replaced_workers(tmp_path: Path) -> None:
    sizes = []
    for _ in range(4):
        run_model(tmp_path)
        ModelFiles(str(tmp_path)).merge_dead()
        sizes.append(len(files(tmp_path)))
    assert sizes == [3] * 4  # counter, histogram, gauge_max
    assert values(tmp_path)["seen_total"] == 8


@each_case("process", ["living", "ended"])
def test_a_file_that_has_just_been_created_has_no_values_yet(tmp_path: Path, process: str) -> None:
    run_model(tmp_path)
    ended = subprocess.Popen(["true"])
    ended.wait()
    owner = os.getpid() if process == "living" else ended.pid
    (tmp_path / f"counter_{owner}.db").touch()
    assert values(tmp_path)["seen_total"] == 2
    assert values(tmp_path)["seen_total"] == 2


@each_case("step", ["before the manifest", "before the removal"])
def test_a_merge_that_was_killed_neither_loses_nor_doubles(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_model(tmp_path)
    run_model(tmp_path)
    target = "replace" if step == "before the manifest" else "unlink"
    before = files(tmp_path)

    def die(self: Path, *arguments: object, **keywords: object) -> None:
        if target == "replace" or self.name in before:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, target, die)
        with pytest.raises(KeyboardInterrupt):
            ModelFiles(str(tmp_path)).merge_dead()
    assert before <= files(tmp_path)
    assert values(tmp_path)["seen_total"] == 4
    assert values(tmp_path)["seen_total"] == 4
    assert json.loads((tmp_path / "manifest.json").read_text())["generation"] >= 1


def test_files_of_this_process_are_left_alone(tmp_path: Path) -> None:
    code = f"""
from datarobot_drum.drum.serving.metrics.model_files import ModelFiles
{MODEL}
found = {{metric.name: metric.samples for metric in ModelFiles({str(tmp_path)!r}).collect()}}
print([sample.value for sample in found["live"]])
"""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[7.0]"


def test_a_directory_that_is_gone_has_no_metrics(tmp_path: Path) -> None:
    assert ModelFiles(str(tmp_path / "gone")).collect() == []
