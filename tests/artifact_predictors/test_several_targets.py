"""Several values a row of a regression model are named columns."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
import xgboost
from catboost import CatBoostRegressor
from skl2onnx import to_onnx
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor

from datarobot_drum.drum.exceptions import ModelLoadError, PredictionError
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.serving.formats.deployment_json import deployment_response
from datarobot_drum.drum.serving.formats.predictions_json import predictions_response
from datarobot_drum.drum.serving.formats.streaming import STREAM_FORMATS
from datarobot_drum.drum.settings.deployment_config import DeploymentConfig
from datarobot_drum.drum.settings.target_types import TargetType
from tests.artifact_predictors.loaded_models import Load, predict_csv
from tests.artifact_predictors.trained_models import IRIS
from tests.cases import each_case
from tests.language_predictors.builders import model_settings, write_model

TARGETS = np.column_stack([IRIS.iloc[:, 0] * 2, IRIS.iloc[:, 1] - 1])
FLOATS = IRIS.to_numpy(np.float32)
QUIET: dict[str, Any] = {"verbose": 0, "allow_writing_files": False}


def load_with(folder: Path, **changes: Any) -> BasePredictor:
    predictor = create_predictor(model_settings(folder, **changes))
    predictor.load()
    predictor.close()
    return predictor


@each_case(
    "estimator",
    [
        pytest.param(LinearRegression(), id="linear"),
        pytest.param(make_pipeline(StandardScaler(), LinearRegression()), id="pipeline"),
        pytest.param(RandomForestRegressor(2), id="forest"),
        pytest.param(KNeighborsRegressor(), id="neighbours"),
        pytest.param(PLSRegression(2), id="pls"),
        pytest.param(MultiOutputRegressor(LinearRegression()), id="one estimator a target"),
        pytest.param(RegressorChain(LinearRegression()), id="chain"),
        pytest.param(XGBRegressor(n_estimators=2), id="xgboost"),
        pytest.param(CatBoostRegressor(iterations=2, loss_function="MultiRMSE", **QUIET), id="catboost"),
    ],
)
def test_targets_of_an_estimator_are_numbered_columns(load: Load, estimator: Any) -> None:
    predictor = load("regression", model=estimator.fit(IRIS, TARGETS))
    predictions = predict_csv(predictor, IRIS)
    assert predictions.columns == ("Predictions_0", "Predictions_1")
    assert np.allclose(predictions.values, estimator.predict(IRIS), rtol=1e-12)


@each_case("framework", ["xgboost", "onnx"])
def test_targets_of_a_file_are_columns(tmp_path: Path, framework: str) -> None:
    if framework == "xgboost":
        xgboost.train({}, xgboost.DMatrix(IRIS, TARGETS), 2).save_model(tmp_path / "model.json")
    else:
        graph = to_onnx(LinearRegression().fit(FLOATS, TARGETS), FLOATS[:1])
        (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    predictions = predict_csv(load_with(tmp_path, target_name="size"), IRIS)
    assert predictions.columns == ("size_0", "size_1")
    assert np.corrcoef(predictions.values[:, 0], TARGETS[:, 0])[0, 1] > 0.8


def test_declared_names_come_first(load: Load, tmp_path: Path) -> None:
    load("regression", model=LinearRegression().fit(IRIS, TARGETS))
    predictor = load_with(tmp_path, target_name="size", target_names=("length", "width"))
    assert predict_csv(predictor, IRIS).columns == ("length", "width")
    with pytest.raises(ModelLoadError, match="predicts 2 values a row, but targetNames has 3 names"):
        load_with(tmp_path, target_names=("a", "b", "c"))


def test_names_of_a_returned_frame_are_kept(load: Load, tmp_path: Path) -> None:
    write_model(
        tmp_path,
        custom="""
        import pandas as pd

        class Model:
            def predict(self, data):
                return pd.DataFrame({"low": data.iloc[:, 0], "high": data.iloc[:, 0] * 2})

        def load_model(code_dir):
            return Model()
        """,
    )
    assert predict_csv(load("regression"), IRIS).columns == ("low", "high")


def test_post_process_keeps_the_targets_of_an_artifact(load: Load, tmp_path: Path) -> None:
    write_model(tmp_path, custom="def post_process(predictions, model): return predictions * 2")
    model = LinearRegression().fit(IRIS, TARGETS)
    predictions = predict_csv(load("regression", model=model), IRIS)
    assert predictions.columns == ("Predictions_0", "Predictions_1")
    assert np.allclose(predictions.values, model.predict(IRIS) * 2, rtol=1e-12)


HOOK = "import pandas as pd\ndef score(data, model):\n    return pd.DataFrame({columns}, index=data.index)"


def test_a_hook_with_undeclared_columns_is_rejected(load: Load, tmp_path: Path) -> None:
    write_model(tmp_path, custom=HOOK.format(columns="{'y1': 1.0, 'y2': 2.0}"))
    with pytest.raises(PredictionError, match=r"'y1', 'y2'.*several targets are declared as targetNames"):
        predict_csv(load("regression"), IRIS)


def test_a_hook_returns_the_declared_targets_and_extra_columns(tmp_path: Path) -> None:
    write_model(tmp_path, custom=HOOK.format(columns="{'note': 'n', 'y2': 2.0, 'y1': 1.0}"))
    predictions = predict_csv(load_with(tmp_path, target_names=("y1", "y2")), IRIS.head(2))
    assert predictions.columns == ("y1", "y2")
    assert predictions.values.tolist() == [[1.0, 2.0]] * 2
    assert predictions.extra is not None
    assert predictions.extra.to_dict("list") == {"note": ["n", "n"]}


def test_a_missing_target_is_named(tmp_path: Path) -> None:
    write_model(tmp_path, custom=HOOK.format(columns="{'y1': 1.0, 'x': 2.0}"))
    with pytest.raises(PredictionError, match="no column for the target 'y2'; its columns are 'y1', 'x'"):
        predict_csv(load_with(tmp_path, target_names=("y1", "y2")), IRIS)


def test_unnamed_columns_of_a_hook_are_the_declared_targets(tmp_path: Path) -> None:
    write_model(tmp_path, custom="def score(data, model): return data.to_numpy()[:, :2]")
    predictions = predict_csv(load_with(tmp_path, target_names=("y1", "y2")), IRIS)
    assert predictions.columns == ("y1", "y2")
    assert np.array_equal(predictions.values, IRIS.to_numpy()[:, :2])


def test_every_format_names_the_targets(tmp_path: Path) -> None:
    write_model(tmp_path, custom="def score(data, model): return [[1.5, 2], [3, None]]")
    predictions = predict_csv(load_with(tmp_path, target_names=("y1", "y2")), pd.DataFrame({"a": [1, 2]}))
    rows = [{"y1": 1.5, "y2": 2.0}, {"y1": 3.0, "y2": None}]
    content = predictions_response(predictions, TargetType.REGRESSION).content
    assert isinstance(content, bytes)
    assert orjson.loads(content) == {"predictions": rows}
    streams = {
        stream.media_type: b"".join(stream.encode(iter([predictions]), TargetType.REGRESSION))
        for stream in STREAM_FORMATS
    }
    assert streams["application/octet-stream"] == content
    assert streams["text/csv"] == b"y1,y2\n1.5,2.0\n3.0,\n"
    assert [orjson.loads(line) for line in streams["application/x-ndjson"].splitlines()] == [
        {"prediction": row} for row in rows
    ]
    assert orjson.loads(streams["text/event-stream"].split(b"\n\n")[0].removeprefix(b"data: ")) == {"predictions": rows}


def test_the_prediction_server_format_has_a_value_per_target(tmp_path: Path) -> None:
    write_model(tmp_path, custom="def score(data, model): return [[1.5, 2]]")
    settings = dataclasses.replace(model_settings(tmp_path), target_names=("y1", "y2"))
    predictor = load_with(tmp_path, target_names=settings.target_names)
    content = deployment_response(predict_csv(predictor, IRIS.head(1)), settings, DeploymentConfig()).content
    assert isinstance(content, bytes)
    (row,) = orjson.loads(content)["data"]
    assert row["prediction"] == {"y1": 1.5, "y2": 2.0}
    assert row["predictionValues"] == [{"label": "y1", "value": 1.5}, {"label": "y2", "value": 2.0}]


def test_one_target_stays_a_number(load: Load) -> None:
    model = LinearRegression().fit(IRIS, TARGETS[:, :1])
    predictions = predict_csv(load("regression", model=model), IRIS)
    assert predictions.columns == ("Predictions",)
    assert predictions.values.shape == (len(IRIS), 1)
