"""Whether a trained model predicts the same when it is served as it does in a process of its own."""

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
"""How many rows of the training data are predicted, the first ones."""

TIMEOUT_SECONDS = 600.0
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9


def find_difference(arguments: Arguments, features: pd.DataFrame) -> str | None:
    """Where the served predictions differ from those in this process, in words; None if they are equal.

    Of transformed samples, it is only made sure that the server answers.

    Raises:
        StartupError: the model cannot be loaded, or the server does not start or refuses the rows.
        RequestError: the model fails in this process.
    """
    sample = features.head(ROWS)
    body = to_body(sample)
    served = _predict_served(arguments, body)
    target_type = build_model_settings(arguments).target_type
    if target_type is TargetType.TRANSFORM:
        return None
    return _compare(_predict_here(arguments, sample, body), json.loads(served)["predictions"])


def _predict_served(arguments: Arguments, body: Body) -> bytes:
    with running_server(arguments, TIMEOUT_SECONDS) as server:
        response = server.post(body, TIMEOUT_SECONDS)
    if response.status != HTTPStatus.OK:
        raise CommandError(f"The trained model is served, but answers {response.status}: {response.message}")
    return response.body


def _predict_here(arguments: Arguments, sample: pd.DataFrame, body: Body) -> list[Any]:
    """From the table itself, without the way through text, unless the model wants to read that."""
    model = build_model_settings(arguments)
    with loaded_model(model) as predictor:
        data: Any = sample
        if predictor.reads_raw_input:
            data = predictor.read_input(StructuredPayload(io.BytesIO(body.content), PayloadFormat.CSV))
        content = predictions_response(predictor.predict(data), model.target_type).content
    assert isinstance(content, bytes)
    predictions: list[Any] = json.loads(content)["predictions"]
    return predictions


def _compare(here: list[Any], served: list[Any]) -> str | None:
    if len(here) != len(served):
        return f"{len(served)} predictions were served, {len(here)} made in process"
    different = [row for row, pair in enumerate(zip(here, served, strict=True)) if not _is_close(*pair)]
    if not different:
        return None
    first = different[0]
    return (
        f"{len(different)} of {len(here)} rows differ; row {first + 1} is {served[first]!r} when served and "
        f"{here[first]!r} in process"
    )


def _is_close(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_close(one[key], other[key]) for key in one)
    if isinstance(one, float | int) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return bool(one == other)
