"""The compilation of a worker runs in the background, ends with the worker, and is absent if it is switched off."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from datarobot_drum.drum.compiled_models.background import THREAD_NAME
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from tests.cases import each_case
from tests.compiled_models.compiled_folders import TABLE, TARGET, load, predict


def scaled_logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(TABLE, TARGET)


def compilations() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def test_requests_are_predicted_while_the_model_is_compiled(tmp_path: Path) -> None:
    predictor, worker = load(tmp_path, scaled_logistic()), WorkerCtx()
    expected = predict(predictor, TABLE)
    predictor.on_worker_start(worker)
    (thread,) = compilations()
    while thread.is_alive():
        np.testing.assert_array_equal(predict(predictor, TABLE), expected)
        thread.join(0.05)
    assert predictor.compiled is not None
    np.testing.assert_array_equal(predict(predictor, TABLE), expected)
    worker.start()
    worker.stop()


@each_case("seconds", [0.0, 1.2], ids=["before it starts", "during the proof"])
def test_a_compilation_ends_with_its_worker(tmp_path: Path, seconds: float) -> None:
    model = RandomForestClassifier(100, random_state=0).fit(TABLE, TARGET)
    predictor, worker = load(tmp_path, model), WorkerCtx()
    predictor.on_worker_start(worker)
    worker.start()
    (thread,) = compilations()
    thread.join(seconds)
    worker.stop()
    assert not compilations() and predictor.compiled is None
    assert len(predict(predictor, TABLE)) == len(TABLE)


OFF = """
import sys
from pathlib import Path
from dataclasses import replace
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.settings.compilation import CompileMode, CompileOptions
from tests.compiled_models.compiled_folders import load, predict, TABLE
predictor = load(Path(sys.argv[1]), options=CompileOptions(CompileMode.OFF))
predict(predictor, TABLE)
predictor.on_worker_start(WorkerCtx())
predict(predictor, TABLE)
names = sorted(name.rpartition(".")[2] for name in sys.modules if ".compiled_models." in name and "tests" not in name)
print(names, predictor.compiled, "treelite" in sys.modules)
"""


def test_off_imports_and_starts_nothing(tmp_path: Path) -> None:
    load(tmp_path, scaled_logistic())
    command = [sys.executable, "-c", OFF, str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
    assert done.stdout == "['forms', 'prediction_function'] None False\n", done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["model.pkl"]


def test_a_missing_extra_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "treelite", None)
    monkeypatch.delitem(sys.modules, "datarobot_drum.drum.compiled_models.treelite_sklearn", raising=False)
    monkeypatch.delitem(sys.modules, "datarobot_drum.drum.compiled_models.treelite_trees", raising=False)
    with caplog.at_level(logging.INFO):
        load(tmp_path, RandomForestClassifier(3).fit(TABLE, TARGET)).compile()
        numeric = load(tmp_path, scaled_logistic())
        numeric.compile()
    assert caplog.text.count("install datarobot-drum[compile]") == 1
    assert numeric.compiled is not None and numeric.compiled["by"] == "NumPy"
