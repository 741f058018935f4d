"""Models of MLflow that only MLflow can call (``python_function``), written by MLflow itself."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datarobot_drum.drum.exceptions import ModelLoadError, PredictionError, UnprocessableInput
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.settings.load_policy import PicklePolicy
from tests.artifact_predictors.loaded_models import Load, predict_csv
from tests.language_predictors.builders import model_settings

pyfunc = pytest.importorskip("mlflow.pyfunc", reason="needs datarobot-drum[mlflow]")
infer_signature = pytest.importorskip("mlflow.models").infer_signature

ROWS = pd.DataFrame({"size": [1.5, 2.0, 3.25], "count": [1, 2, 3], "town": ["01", "NA", "Bonn"]})


class Function(pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # MLflow reads hints
        return self.function(model_input)


def save(folder: Path, function: Callable[[Any], Any], inputs: Any = ROWS, outputs: Any = None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on writing models
        signature = infer_signature(inputs, outputs)
        pyfunc.save_model(
            str(folder), python_model=Function(function), signature=signature, pip_requirements=["pandas"]
        )


def price(rows: pd.DataFrame) -> Any:
    assert [str(dtype) for dtype in rows.dtypes][:2] == ["float64", "int64"]
    return rows["size"] * 2 + rows["count"] + (rows["town"] == "01") * 100


def test_rows_have_the_types_of_the_signature(load: Load, tmp_path: Path) -> None:
    save(tmp_path / "model", price)
    predictor = load("regression")
    assert (predictor.name, predictor.thread_safe) == ("mlflow", False)
    assert predictor.input_schema.names == ("size", "count", "town")
    values = predict_csv(predictor, ROWS[["town", "count", "size"]]).values[:, 0]
    assert np.array_equal(values, price(ROWS))
    assert np.array_equal(values, pyfunc.load_model(str(tmp_path / "model")).predict(ROWS))
    whole = ROWS.assign(size=[1, 2, 3])  # whole numbers in every cell, as one row may have
    assert np.array_equal(predict_csv(predictor, whole).values[:, 0], price(whole.astype({"size": float})))
    alone = [predict_csv(predictor, ROWS.iloc[[row]]).values[0, 0] for row in range(len(ROWS))]
    assert np.array_equal(alone, values)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(ROWS.drop(columns="town"), "town", id="missing column"),
        pytest.param(
            ROWS.assign(count=[1, 2, 2.5]), "whole numbers in the column count, and row 3 has none", id="part"
        ),
        pytest.param(
            ROWS.assign(count=[1, None, 3]), "whole numbers in the column count, and row 2 has none", id="gap"
        ),
        pytest.param(ROWS.assign(size="x"), r"size \(row 1: 'x'\)", id="text"),
    ],
)
def test_rows_that_do_not_fit_are_rejected(load: Load, tmp_path: Path, rows: pd.DataFrame, message: str) -> None:
    save(tmp_path / "model", price)
    with pytest.raises(UnprocessableInput, match=message):
        predict_csv(load("regression"), rows)


def test_probability_columns_are_matched_by_name(load: Load, tmp_path: Path) -> None:
    save(tmp_path / "model", lambda rows: pd.DataFrame({"no": [0.25] * len(rows), "ja": [0.75] * len(rows)}))
    predictions = predict_csv(load("binary", ("ja", "no")), ROWS)
    assert predictions.columns == ("ja", "no")
    assert predictions.values.tolist() == [[0.75, 0.25]] * 3


@pytest.mark.parametrize("with_signature", [True, False])
def test_classes_are_no_probabilities(load: Load, tmp_path: Path, with_signature: bool) -> None:
    outputs = np.array([0, 1, 1]) if with_signature else None
    save(tmp_path / "model", lambda rows: np.ones(len(rows), dtype=int), outputs=outputs)
    if with_signature:
        with pytest.raises(ModelLoadError, match=r"returns classes, and binary models need probabilities"):
            load("binary", ("no", "yes"))
        return
    with pytest.raises(PredictionError, match="type int64, and probabilities are needed"):
        predict_csv(load("binary", ("no", "yes")), ROWS)


def test_a_tensor_signature_takes_an_array(load: Load, tmp_path: Path) -> None:
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    save(tmp_path / "model", lambda array: array.sum(axis=1) if array.dtype == np.float32 else None, inputs=rows)
    predictor = load("regression")
    assert predict_csv(predictor, pd.DataFrame(rows)).values[:, 0].tolist() == [1, 5, 9]
    with pytest.raises(UnprocessableInput, match="the model takes 2"):
        predict_csv(predictor, pd.DataFrame(rows[:, :1]))


def test_texts_are_generated(load: Load, tmp_path: Path) -> None:
    save(tmp_path / "model", lambda rows: [text.upper() for text in rows["prompt"]], pd.DataFrame({"prompt": ["a"]}))
    settings = model_settings(tmp_path, "textgeneration", target_name="answer")
    predictor = create_predictor(settings)
    predictor.load()
    assert predict_csv(predictor, pd.DataFrame({"prompt": ["ab", "c"]})).values.tolist() == [["AB"], ["C"]]
    predictor.close()


def test_policy_refuses_python_functions(tmp_path: Path) -> None:
    save(tmp_path / "model", price)
    predictor = create_predictor(model_settings(tmp_path, pickle_policy=PicklePolicy.REFUSE))
    with pytest.raises(ModelLoadError, match=r"^model is not loaded, since it is a python_function of MLflow"):
        predictor.load()
