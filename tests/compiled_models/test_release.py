"""With ``DRUM_COMPILE_AUDIT=0`` the trees of a compiled model are let go, and loaded again when they are needed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cases import each_case

pytest.importorskip("treelite")

from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from datarobot_drum.drum.compiled_models.verdicts import Verdict, VerdictFile
from datarobot_drum.drum.exceptions import DrumError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.settings.compilation import CompileMode, CompileOptions
from tests.compiled_models.compiled_folders import TABLE, TARGET, load, predict

WITHOUT_AUDIT = CompileOptions(CompileMode.EXACT, 0)
INFINITE = TABLE.head(2).assign(a=np.inf)


def accept_all_rows(folder: Path) -> None:
    """Keep a verdict for all numbers of rows, whatever would be measured."""
    verdict = Verdict(range(1, 2**62), "treelite", "bit-equal on 9 rows", {"1": 9.0, "1000": 9.0})
    VerdictFile(folder / "model.pkl", "exact predict_proba").write(verdict)


def compiled(folder: Path, model: Any, options: CompileOptions = WITHOUT_AUDIT) -> tuple[BasePredictor, Any]:
    """Return the compiled predictor of a folder, and the last step of its model."""
    predictor = load(folder, model.fit(TABLE, TARGET), options)
    accept_all_rows(folder)
    predictor.compile()
    loaded = predictor._loaded.model  # type: ignore[attr-defined]
    return predictor, loaded[-1] if hasattr(loaded, "steps") else loaded


@each_case(
    "model",
    [
        GradientBoostingClassifier(n_estimators=5),
        make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)),
    ],
    ids=["ensemble", "pipeline"],
)
def test_trees_are_loaded_again_for_samples_that_the_form_does_not_cover(model: Any, tmp_path: Path) -> None:
    predictor, ensemble = compiled(tmp_path, model)
    assert predictor.compiled is not None and not hasattr(ensemble, "estimators_")
    expected = model.predict_proba(TABLE)
    np.testing.assert_array_equal(predict(predictor, TABLE), expected)
    assert not hasattr(ensemble, "estimators_")
    for _ in range(2):
        with pytest.raises(UnprocessableInput, match=r"infinity|infinite|too large"):
            predict(predictor, INFINITE)
    assert hasattr(ensemble, "estimators_")
    np.testing.assert_array_equal(predict(predictor, TABLE), expected)


def test_a_changed_file_is_not_taken_for_the_model(tmp_path: Path) -> None:
    predictor, _ = compiled(tmp_path, GradientBoostingClassifier(n_estimators=5))
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(GradientBoostingClassifier(n_estimators=2).fit(TABLE, TARGET)))
    with pytest.raises(DrumError, match="has changed since the model was loaded"):
        predict(predictor, INFINITE)


def test_a_file_that_has_changed_before_keeps_the_trees(tmp_path: Path) -> None:
    predictor = load(tmp_path, GradientBoostingClassifier(n_estimators=5).fit(TABLE, TARGET), WITHOUT_AUDIT)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(GradientBoostingClassifier(n_estimators=2).fit(TABLE, TARGET)))
    accept_all_rows(tmp_path)
    predictor.compile()
    assert hasattr(predictor._loaded.model, "estimators_")  # type: ignore[attr-defined]


def test_trees_stay_with_an_audit_and_with_a_hook(tmp_path: Path) -> None:
    assert hasattr(compiled(tmp_path, GradientBoostingClassifier(n_estimators=5), CompileOptions())[1], "estimators_")
    (tmp_path / "custom.py").write_text("def post_process(predictions, model):\n    return predictions\n")
    assert hasattr(compiled(tmp_path, GradientBoostingClassifier(n_estimators=5))[1], "estimators_")
