"""The target type that a model shows, and the reasons why others do not."""

import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from sklearn.cluster import KMeans
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from datarobot_drum.drum.commands.target_type.detection import with_target_type
from datarobot_drum.drum.commands.target_type.inspection import NotPlain, inspect_folder
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.load_policy import PicklePolicy
from tests.cases import each_case
from tests.processes import has_ended
from tests.serving.execution.blocking_call import wait_until

X = np.arange(24.0).reshape(12, 2)
NUMBERS, PAIR, THREE = X[:, 0], np.array(["no", "yes"] * 6), np.array(["a", "b", "c"] * 4)


@each_case(
    ("model", "target_type", "description"),
    [
        (DummyRegressor().fit(X, NUMBERS), "regression", "a fitted DummyRegressor"),
        (DummyRegressor().fit(X, X), "regression", "a fitted DummyRegressor"),
        (DummyClassifier().fit(X, PAIR), "binary", "a fitted DummyClassifier with the classes 'no', 'yes'"),
        (DummyClassifier().fit(X, THREE), "multiclass", "a fitted DummyClassifier with the classes 'a', 'b', 'c'"),
        (
            make_pipeline(StandardScaler(), DecisionTreeClassifier()).fit(X, NUMBERS > 9),
            "binary",
            "a fitted DecisionTreeClassifier with the classes 'False', 'True'",
        ),
        (IsolationForest(n_estimators=2).fit(X), "anomaly", "a fitted IsolationForest"),
        (StandardScaler().fit(X), "transform", "a fitted StandardScaler"),
    ],
)
def test_a_fitted_estimator_shows_its_target_type(
    tmp_path: Path, model: Any, target_type: str, description: str
) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    found, text = inspect_folder(tmp_path, PicklePolicy.ALLOW)
    assert (found.value, text) == (target_type, description)


@each_case(
    ("model", "reason"),
    [
        (DecisionTreeClassifier().fit(X, np.column_stack([X[:, 0] > 9, X[:, 0] > 5])), "does not name the classes"),
        (KMeans(2, n_init=1).fit(X), "KMeans"),
        ({"weights": 1}, "dict"),
    ],
)
def test_nothing_is_guessed_of_other_models(tmp_path: Path, model: Any, reason: str) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    with pytest.raises(NotPlain, match=reason):
        inspect_folder(tmp_path, PicklePolicy.ALLOW)


@each_case(
    ("code", "reason"),
    [
        ("def score(data, model, **kwargs): ...\n", "hook score, which fits several types"),
        ("def load_model(code_dir): ...\n", "hook load_model"),
        ("def chat(params, model): ...\n", "textgeneration or agenticworkflow"),
        ("def scor(data, model): ...\n", "did you mean score"),
        ("import os\n", "none of the hooks"),
        ("def score(data, model)\n    return data\n", "custom.py, line 1: "),
        ("\0", "custom.py"),
    ],
)
def test_hooks_fit_several_types(tmp_path: Path, code: str, reason: str) -> None:
    (tmp_path / "custom.py").write_text(code, encoding="utf-8")
    with pytest.raises(NotPlain, match=reason):
        inspect_folder(tmp_path, PicklePolicy.ALLOW)


def test_an_unstructured_hook_fits_one_type_and_is_not_imported(tmp_path: Path) -> None:
    code = "raise ValueError('imported')\ndef score_unstructured(model, data): ...\n"
    (tmp_path / "custom.py").write_text(code, encoding="utf-8")
    assert inspect_folder(tmp_path, PicklePolicy.ALLOW)[0].value == "unstructured"


class _StartsProcess:
    """Starts a process when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return subprocess.Popen, (["sleep", "4321.5"],)


@pytest.mark.process
def test_processes_that_loading_starts_end_with_the_inspection(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(_StartsProcess()))
    found = with_target_type(Arguments(code_dir=str(tmp_path)))
    assert (found.target_type, found.target_hint) == (None, "the model is a Popen")
    left = [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", "4321.5"]]
    wait_until(lambda: all(map(has_ended, left)))  # the kernel ends a killed process a moment later


@pytest.mark.process
def test_a_given_target_type_loads_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"no pickle")
    arguments = Arguments(code_dir=str(tmp_path), target_type="regression")
    assert with_target_type(arguments) is arguments
    (tmp_path / "model-metadata.yaml").write_text("targetType: regression\n", encoding="utf-8")
    arguments = Arguments(code_dir=str(tmp_path))
    assert with_target_type(arguments) is arguments
