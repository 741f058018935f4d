"""Predictions as JSON: arrays are encoded to the same bytes as their elements."""

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.language_predictors.json_values import encode
from datarobot_drum.drum.serving.formats.predictions_json import BLOCK_ROWS, elements, encode_elements
from datarobot_drum.drum.settings.target_types import TargetType
from tests.cases import each_case

LABELS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMED = [TargetType.BINARY, TargetType.MULTICLASS, TargetType.MULTILABEL, TargetType.GEO_POINT]


@given(labels=st.lists(LABELS, min_size=1, max_size=4, unique=True), rows=st.integers(0, 5), data=st.data())
@example(labels=["%", "%b", "%%d", '"'], rows=2, data=None)
@pytest.mark.parametrize("target_type", NAMED)
def test_named_numbers_are_encoded_like_their_elements(
    target_type: TargetType, labels: list[str], rows: int, data: st.DataObject | None
) -> None:
    shape = (rows, len(labels))
    values = data.draw(arrays(np.float64, shape)) if data else np.array([[0.1, -0.0, np.nan, np.inf]] * rows)
    predictions = Predictions(tuple(labels), values)
    assert encode_elements(predictions, target_type) == encode(elements(predictions, target_type))


@given(arrays(np.float64, st.integers(0, 20)))
def test_numbers_are_encoded_like_their_elements(column: np.ndarray) -> None:
    predictions = Predictions(("Predictions",), column.reshape(-1, 1))
    found = encode_elements(predictions, TargetType.REGRESSION)
    assert found == encode(elements(predictions, TargetType.REGRESSION))
    assert orjson.loads(found) == [None if not np.isfinite(value) else value for value in column.tolist()]


@each_case("columns", [1, 2])
def test_encoding_does_not_depend_on_array_order(columns: int) -> None:
    values = np.asfortranarray(np.arange(6.0).reshape(-1, columns))[::2]
    predictions = Predictions(("a", "b")[:columns], values)
    for target_type in (TargetType.REGRESSION, TargetType.MULTICLASS)[2 - columns :]:
        if target_type is TargetType.MULTICLASS or columns == 1:
            assert encode_elements(predictions, target_type) == encode(elements(predictions, target_type))


@each_case("rows", [BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS - 1])
def test_rows_in_several_blocks_have_the_same_bytes(rows: int) -> None:
    predictions = Predictions(("a", "b"), np.random.default_rng(0).normal(size=(rows, 2)))
    assert encode_elements(predictions, TargetType.BINARY) == encode(elements(predictions, TargetType.BINARY))


def test_text_is_encoded_unchanged() -> None:
    predictions = Predictions(("answer",), np.array([["ä"], [None]], dtype=object))
    assert encode_elements(predictions, TargetType.TEXT_GENERATION) == '[{"answer":"ä"},{"answer":null}]'.encode()
