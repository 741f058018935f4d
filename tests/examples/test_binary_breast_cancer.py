"""The hooks of the example with code."""

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from datarobot_drum.drum.exceptions import CustomHTTPError

EXAMPLES = Path(__file__).parents[2] / "examples"
LABELS = {"positive_class_label": "malignant", "negative_class_label": "benign"}


@pytest.fixture(scope="module")
def hooks() -> Mapping[str, Any]:
    return runpy.run_path(str(EXAMPLES / "binary_breast_cancer" / "custom.py"))


@pytest.fixture(scope="module")
def model(hooks: Mapping[str, Any], artifacts: Path) -> Any:
    return hooks["load_model"](str(artifacts / "binary_breast_cancer"))


@pytest.fixture
def data() -> pd.DataFrame:
    frame: pd.DataFrame = load_breast_cancer(as_frame=True).data
    return frame


def predict(hooks: Mapping[str, Any], model: Any, data: pd.DataFrame) -> pd.DataFrame:
    predictions: pd.DataFrame = hooks["score"](hooks["transform"](data, model), model, **LABELS)
    return predictions


def test_probabilities_are_named_after_labels(hooks: Mapping[str, Any], model: Any, data: pd.DataFrame) -> None:
    predictions = predict(hooks, model, data)
    assert list(predictions.columns) == ["benign", "malignant"]
    assert ((predictions.sum(axis=1) - 1).abs() < 1e-12).all()


def test_model_classifies_most_tumours(hooks: Mapping[str, Any], model: Any, data: pd.DataFrame) -> None:
    malignant = load_breast_cancer().target == 0
    found = predict(hooks, model, data)["malignant"] > 0.5
    assert (found == malignant).mean() > 0.95


def test_missing_values_are_filled(hooks: Mapping[str, Any], model: Any, data: pd.DataFrame) -> None:
    data.loc[0, "worst area"] = float("nan")
    assert predict(hooks, model, data).notna().all(axis=None)


def test_missing_column_is_named(hooks: Mapping[str, Any], model: Any, data: pd.DataFrame) -> None:
    with pytest.raises(CustomHTTPError, match="worst area") as caught:
        predict(hooks, model, data.drop(columns="worst area"))
    assert caught.value.status_code == 422
