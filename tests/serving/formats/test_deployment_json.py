"""Structured predictions in the format of DataRobot's prediction server."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.serving.formats.deployment_json import deployment_response
from datarobot_drum.drum.settings.deployment_config import DeploymentConfig
from tests.cases import each_case
from tests.language_predictors.builders import model_settings


def rows_of(
    kind: str,
    columns: tuple[str, ...],
    values: list[list[Any]],
    deployment: DeploymentConfig | None = None,
    extra: pd.DataFrame | None = None,
    **changes: Any,
) -> list[dict[str, Any]]:
    predictions = Predictions(columns, np.array(values, dtype=object if kind == "textgeneration" else float), extra)
    labels = tuple(reversed(columns)) if kind == "binary" else columns
    model = model_settings(Path(), kind, labels, **changes)
    response = deployment_response(predictions, model, deployment or DeploymentConfig())
    assert (response.status, response.media_type) == (200, "application/json")
    assert isinstance(response.content, bytes)
    (rows,) = json.loads(response.content).values()
    assert [row["rowId"] for row in rows] == list(range(len(values)))
    return list(rows)


def test_regression_row_has_one_value_named_after_the_target() -> None:
    rows = rows_of("regression", ("Predictions",), [[1.5], [float("nan")]], DeploymentConfig("price"))
    assert rows == [
        {"rowId": 0, "prediction": 1.5, "predictionValues": [{"label": "price", "value": 1.5}]},
        {"rowId": 1, "prediction": None, "predictionValues": [{"label": "price", "value": None}]},
    ]


@each_case(("deployed", "declared", "label"), [("a", "b", "a"), (None, "b", "b"), (None, None, "Predictions")])
def test_label_is_the_first_known_target_name(deployed: str | None, declared: str | None, label: str) -> None:
    (row,) = rows_of("anomaly", ("Predictions",), [[0.5]], DeploymentConfig(deployed), target_name=declared)
    assert row["predictionValues"] == [{"label": label, "value": 0.5}]


def test_binary_row_has_both_labels_and_the_threshold() -> None:
    (row,) = rows_of("binary", ("yes", "no"), [[0.75, 0.25]])
    assert row == {
        "rowId": 0,
        "prediction": "yes",
        "predictionValues": [{"label": "yes", "value": 0.75}, {"label": "no", "value": 0.25}],
        "predictionThreshold": 0.5,
    }


@each_case(
    ("threshold", "decisions"),
    [
        (0.0, ["yes", "yes", "yes", "yes"]),
        (0.5, ["no", "no", "yes", "yes"]),
        (0.6, ["no", "no", "no", "yes"]),
        (1.0, ["no", "no", "no", "yes"]),
    ],
)
def test_positive_label_is_predicted_from_the_threshold_on(threshold: float, decisions: list[str]) -> None:
    values = [[0.0, 1.0], [0.49, 0.51], [0.5, 0.5], [1.0, 0.0]]
    rows = rows_of("binary", ("yes", "no"), values, DeploymentConfig(threshold=threshold))
    assert [row["prediction"] for row in rows] == decisions
    assert {row["predictionThreshold"] for row in rows} == {threshold}


def test_multiclass_row_predicts_the_most_probable_class() -> None:
    rows = rows_of("multiclass", ("a", "b", "c"), [[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])
    assert [row["prediction"] for row in rows] == ["b", "a"]
    assert "predictionThreshold" not in rows[0]


def test_multilabel_row_predicts_labels_from_the_threshold_on() -> None:
    rows = rows_of("multilabel", ("a", "b"), [[0.5, 0.9], [0.1, 0.2]])
    assert [row["prediction"] for row in rows] == [["a", "b"], []]


def test_text_generation_row_has_the_text_as_value() -> None:
    (row,) = rows_of("textgeneration", ("answer",), [["日本"]], target_name="answer")
    assert row["prediction"] == "日本"
    assert row["predictionValues"] == [{"label": "answer", "value": "日本"}]


def test_row_has_extra_output_and_approval_status() -> None:
    extra = pd.DataFrame({"why": ["x", None]})
    rows = rows_of("regression", ("P",), [[1.0], [2.0]], DeploymentConfig(approval_status="APPROVED"), extra)
    assert [row["extraModelOutput"] for row in rows] == [{"why": "x"}, {"why": None}]
    assert [row["deploymentApprovalStatus"] for row in rows] == ["APPROVED", "APPROVED"]
