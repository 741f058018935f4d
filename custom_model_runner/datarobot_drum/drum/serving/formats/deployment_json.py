"""Predictions in the JSON format of DataRobot's prediction server, enabled by ``--deployment-config``.

``{"data": [...]}`` has one object a row: ``rowId`` from 0, ``prediction``, ``predictionValues`` (a ``label`` and a
``value`` each), and ``predictionThreshold`` for binary models.
"""

from typing import Any

from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.language_predictors.json_values import encode_cells, records
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.deployment_config import DeploymentConfig
from datarobot_drum.drum.settings.target_types import TargetType


def deployment_response(predictions: Predictions, model: ModelSettings, deployment: DeploymentConfig) -> ModelResponse:
    """Encode one object a row, in the order sent.

    ``prediction`` depends on the target type: see ``_prediction``. ``extraModelOutput`` and
    ``deploymentApprovalStatus`` are present if the model or the deployment has them.

    Raises:
        PredictionError: the model returned a value that JSON cannot carry.
    """
    labels = _labels(predictions, model, deployment)
    shared: dict[str, Any] = {}
    if model.target_type is TargetType.BINARY:
        shared["predictionThreshold"] = deployment.threshold
    if deployment.approval_status is not None:
        shared["deploymentApprovalStatus"] = deployment.approval_status
    rows = [
        {
            "rowId": number,
            "prediction": _prediction(dict(zip(labels, values, strict=True)), model, deployment.threshold),
            "predictionValues": [{"label": label, "value": value} for label, value in zip(labels, values, strict=True)],
            **shared,
        }
        for number, values in enumerate(predictions.values.tolist())
    ]
    if predictions.extra is not None and len(predictions.extra.columns):
        for row, extra in zip(rows, records(predictions.extra), strict=True):
            row["extraModelOutput"] = extra
    return ModelResponse(b'{"data":' + encode_cells(rows, ()) + b"}")


def _labels(predictions: Predictions, model: ModelSettings, deployment: DeploymentConfig) -> tuple[str, ...]:
    """Return the class labels or the names of several targets, else the name of the target or of the column."""
    if model.target_type.has_class_labels or len(predictions.columns) > 1:
        return predictions.columns
    return (deployment.target_name or model.target_name or predictions.columns[0],)


def _prediction(values: dict[str, Any], model: ModelSettings, threshold: float) -> Any:
    """Return the label or labels at or above the threshold, the most probable class, or the value or values."""
    if model.target_type is TargetType.BINARY:
        is_positive = values[str(model.positive_class_label)] >= threshold
        return model.positive_class_label if is_positive else model.negative_class_label
    if model.target_type is TargetType.MULTICLASS:
        return max(values, key=values.__getitem__)
    if model.target_type is TargetType.MULTILABEL:
        return [label for label, value in values.items() if value >= threshold]
    return values if len(values) > 1 else next(iter(values.values()))
