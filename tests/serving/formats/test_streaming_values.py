"""Extra output of any type in the formats of streams."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.serving.formats.streaming import STREAM_FORMATS
from datarobot_drum.drum.settings.target_types import TargetType
from tests.cases import each_case

ENCODERS = {stream_format.media_type: stream_format.encode for stream_format in STREAM_FORMATS}
VALUES = [Decimal("0.5"), timedelta(1), b"a", {2, 1}, np.array([1.5]), [1], "text", None]


def _predictions(values: list[Any]) -> Predictions:
    extra = pd.DataFrame({"more": pd.Series(values, dtype=object)})
    return Predictions(("Predictions",), np.zeros((len(values), 1)), extra)


def _encode(media_type: str, values: list[Any]) -> list[str]:
    chunks = ENCODERS[media_type](iter([_predictions(values)]), TargetType.REGRESSION)
    return b"".join(chunks).decode().splitlines()


def test_csv_cells_are_text_as_in_json() -> None:
    header, *rows = _encode("text/csv", VALUES)
    assert header == "Predictions,more"
    assert [row.partition(",")[2] for row in rows] == [
        "0.5", "P1DT0H0M0S", "YQ==", '"[1, 2]"', "[1.5]", "[1]", "text", ""
    ]  # fmt: skip


def test_ndjson_carries_every_value() -> None:
    lines = _encode("application/x-ndjson", VALUES)
    assert [line.partition('"more":')[2].removesuffix("}}") for line in lines] == [
        "0.5", '"P1DT0H0M0S"', '"YQ=="', "[1,2]", "[1.5]", "[1]", '"text"', "null"
    ]  # fmt: skip


@each_case("media_type", ["application/octet-stream", "application/x-ndjson", "text/event-stream"])
def test_error_of_a_value_names_column_and_row(media_type: str) -> None:
    with pytest.raises(PredictionError, match="a value in column 'more', row 2 that JSON cannot carry"):
        _encode(media_type, ["fine", 1j])
