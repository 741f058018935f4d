"""Folders that MLflow wrote, without MLflow: the flavors of libraries that are served, and the signature."""

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from xgboost import XGBRegressor

from datarobot_drum.drum.exceptions import ModelLoadError, UnprocessableInput
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.settings.load_policy import PicklePolicy
from tests.artifact_predictors.loaded_models import Load, predict_csv
from tests.cases import each_case
from tests.language_predictors.builders import model_settings, write_model

ROWS = pd.DataFrame({"a": [0.0, 2.0, 4.0, 1.0], "b": [1.0, 3.0, 5.0, 0.5]})
LINE = LinearRegression().fit(ROWS.to_numpy(), [1.0, 2.0, 4.0, 3.0])
SKLEARN = "flavors:\n  sklearn: {pickled_model: model.pkl}\n  python_function: {loader_module: mlflow.sklearn}\n"
PYTHON_MODEL = "flavors:\n  python_function: {loader_module: mlflow.pyfunc.model, python_model: python_model.pkl}\n"


def mlflow_folder(folder: Path, mlmodel: str, model: Any = LINE, inputs: list[dict[str, Any]] | None = None) -> None:
    folder.mkdir(exist_ok=True)
    signature = "" if inputs is None else f"signature:\n  inputs: '{json.dumps(inputs)}'\n"
    (folder / "MLmodel").write_text(mlmodel + signature)
    (folder / "model.pkl").write_bytes(pickle.dumps(model))


def columns(**types: str) -> list[dict[str, Any]]:
    return [{"type": kind, "name": name, "required": True} for name, kind in types.items()]


@each_case(
    ("mlmodel", "flavors"),
    [(SKLEARN, "python_function, sklearn"), ("flavors: later", "none")],
    ids=["sklearn", "other flavors"],
)
def test_artifact_is_served_and_logged(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture, mlmodel: str, flavors: str
) -> None:
    mlflow_folder(tmp_path, mlmodel)
    with caplog.at_level(logging.INFO):
        assert load("regression").name == "scikit-learn"
    assert f"The folder was written by MLflow (flavors: {flavors}): model.pkl is served directly" in caplog.text


@each_case("mlmodel", ["flavors: {", "- no mapping"])
def test_unreadable_mlmodel_is_ignored(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture, mlmodel: str
) -> None:
    mlflow_folder(tmp_path, mlmodel)
    with caplog.at_level(logging.INFO):
        load("regression")
    assert "MLflow" not in caplog.text


def test_the_flavor_names_the_artifact_among_other_files(load: Load, tmp_path: Path) -> None:
    mlflow_folder(tmp_path, SKLEARN)
    (tmp_path / "encoder.pkl").write_bytes(pickle.dumps(LINE))
    assert load("regression").name == "scikit-learn"


def test_a_folder_in_the_code_dir_is_served(load: Load, tmp_path: Path) -> None:
    mlflow_folder(tmp_path / "model", SKLEARN, inputs=columns(a="double", b="double"))
    assert np.array_equal(predict_csv(load("regression"), ROWS).values[:, 0], LINE.predict(ROWS.to_numpy()))


def test_data_outside_the_folder_is_not_read(tmp_path: Path) -> None:
    mlflow_folder(tmp_path / "other", SKLEARN)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "MLmodel").write_text("flavors:\n  sklearn: {pickled_model: ../other/model.pkl}\n")
    with pytest.raises(ModelLoadError, match="There is no model"):
        create_predictor(model_settings(tmp_path / "code"))


def test_columns_are_selected_by_the_names_of_the_signature(load: Load, tmp_path: Path) -> None:
    mlflow_folder(tmp_path, SKLEARN, inputs=columns(a="double", b="double"))
    predictor = load("regression")
    assert predictor.input_schema.names == ("a", "b")
    shuffled = ROWS.assign(note="x")[["note", "b", "a"]]
    own = LINE.predict(ROWS.to_numpy())
    assert np.array_equal(predict_csv(predictor, shuffled).values[:, 0], own)
    alone = [predict_csv(predictor, shuffled.iloc[[row]]).values[0, 0] for row in range(len(ROWS))]
    assert np.array_equal(alone, own)


@each_case(
    ("rows", "message"),
    [
        pytest.param(ROWS[["a"]], "b", id="missing column"),
        pytest.param(ROWS.assign(b="x"), r"numbers only.* b \(row 1: 'x'\)", id="text"),
    ],
)
def test_rows_that_do_not_fit_the_signature_are_rejected(
    load: Load, tmp_path: Path, rows: pd.DataFrame, message: str
) -> None:
    mlflow_folder(tmp_path, SKLEARN, inputs=columns(a="double", b="double"))
    with pytest.raises(UnprocessableInput, match=message):
        predict_csv(load("regression"), rows)


def test_the_models_own_columns_precede_the_signature(load: Load, tmp_path: Path) -> None:
    own = LinearRegression().fit(ROWS, [1.0, 2.0, 4.0, 3.0])
    mlflow_folder(tmp_path, SKLEARN, own, inputs=columns(b="string", a="string"))
    assert load("regression").input_schema.names == ("a", "b")


def test_a_signature_of_another_width_is_not_used(load: Load, tmp_path: Path) -> None:
    mlflow_folder(tmp_path, SKLEARN, inputs=columns(a="double"))
    assert load("regression").input_schema.names is None


def test_an_xgboost_file_without_names_gets_those_of_the_signature(load: Load, tmp_path: Path) -> None:
    model = XGBRegressor(n_estimators=3).fit(ROWS.to_numpy(), [1.0, 2.0, 4.0, 3.0])
    mlflow_folder(tmp_path, "flavors:\n  xgboost: {data: model.ubj}\n", inputs=columns(a="double", b="double"))
    model.save_model(tmp_path / "model.ubj")
    values = predict_csv(load("regression"), ROWS[["b", "a"]]).values[:, 0]
    assert np.array_equal(values, model.predict(ROWS.to_numpy()).astype(float))


def test_trusted_types_of_skops_are_read_from_mlmodel(load: Load, tmp_path: Path) -> None:
    import skops.io  # takes seconds

    model = LogisticRegression().fit(ROWS, ["x", "y", "x", "y"])
    trusted = "skops_trusted_types: [collections.OrderedDict]"
    (tmp_path / "MLmodel").write_text(f"flavors:\n  sklearn: {{pickled_model: model.skops, {trusted}}}\n")
    skops.io.dump(model, tmp_path / "model.skops")
    assert np.array_equal(predict_csv(load("binary"), ROWS).values, model.predict_proba(ROWS))


def test_policy_rejects_the_pickle_of_a_flavor(tmp_path: Path) -> None:
    mlflow_folder(tmp_path, SKLEARN)
    predictor = create_predictor(model_settings(tmp_path, pickle_policy=PicklePolicy.REFUSE))
    with pytest.raises(ModelLoadError, match=r"^model\.pkl is not loaded, .*DRUM_PICKLE_POLICY=refuse"):
        predictor.load()


def test_python_model_of_mlflow_is_not_loaded_for_hooks(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mlflow_folder(tmp_path, PYTHON_MODEL)
    write_model(tmp_path, custom="def score(data, model): return data.iloc[:, [0]]")
    with caplog.at_level(logging.INFO):
        assert load("regression").name == "custom"
    assert "is not loaded, since custom.py predicts" in caplog.text
