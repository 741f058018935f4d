"""Comparison of a trained model's predictions when served with those in this process."""

import io
import json
import math
from http import HTTPStatus
from typing import Any

import pandas as pd

from datarobot_drum.drum.commands.loaded_model import loaded_model
from datarobot_drum.drum.commands.model_server import running_server
from datarobot_drum.drum.commands.samples import Body, to_body
from datarobot_drum.drum.exceptions import CommandError
from datarobot_drum.drum.serving.formats.predictions_json import predictions_response
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import build_model_settings
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload

ROWS = 1000
"""The number of training rows that are predicted, the first ones."""

TIMEOUT_SECONDS = 600.0
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9


def find_difference(arguments: Arguments, features: pd.DataFrame) -> str | None:
    """Describe how served predictions differ from those in this process; None if they are equal.

    For a transformer, only check that the server responds.

    Raises:
        StartupError: the model cannot be loaded, or the server does not start or rejects the rows.
        RequestError: the model fails in this process.
    """
    sample = features.head(ROWS)
    body = to_body(sample)
    served = _predict_served(arguments, body)
    target_type = build_model_settings(arguments).target_type
    if target_type is TargetType.TRANSFORM:
        return None
    return _compare(_predict_in_process(arguments, sample, body), json.loads(served)["predictions"])


def _predict_served(arguments: Arguments, body: Body) -> bytes:
    with running_server(arguments, TIMEOUT_SECONDS) as server:
        response = server.post(body, TIMEOUT_SECONDS)
    if response.status != HTTPStatus.OK:
        raise CommandError(f"The server of the trained model responds {response.status}: {response.message}")
    return response.body


def _predict_in_process(arguments: Arguments, sample: pd.DataFrame, body: Body) -> list[Any]:
    """Predict the table itself, without encoding it as text, unless the model reads raw input."""
    model = build_model_settings(arguments)
    with loaded_model(model) as predictor:
        data: Any = predictor.check_samples(sample)
        if predictor.reads_raw_input:
            data = predictor.read_input(StructuredPayload(io.BytesIO(body.content), PayloadFormat.CSV))
        content = predictions_response(predictor.predict(data), model.target_type).content
    assert isinstance(content, bytes)
    predictions: list[Any] = json.loads(content)["predictions"]
    return predictions


def _compare(in_process: list[Any], served: list[Any]) -> str | None:
    if len(in_process) != len(served):
        return f"{len(served)} predictions were served, {len(in_process)} made in process"
    different = [row for row, pair in enumerate(zip(in_process, served, strict=True)) if not _is_close(*pair)]
    if not different:
        return None
    first = different[0]
    return (
        f"{len(different)} of {len(in_process)} rows differ; row {first + 1} is {served[first]!r} when served and "
        f"{in_process[first]!r} in process"
    )


def _is_close(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_close(one[key], other[key]) for key in one)
    if isinstance(one, float | int) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return bool(one == other)
