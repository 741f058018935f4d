"""Scalers overwrite large samples; predictions are equal bit for bit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from datarobot_drum.drum.artifact_predictors import estimators
from datarobot_drum.drum.artifact_predictors.base import ArtifactModel
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular.numeric_table import NumericTable
from tests.cases import each_case

ROWS, NAMES = 1000, ("a", "b", "c")
SETTINGS = ModelSettings(Path(), TargetType.REGRESSION, None, (), None, None, "python", None)

PIPELINES: dict[str, tuple[Sequence[Any], bool]] = {
    "standard": ([StandardScaler()], True),
    "robust": ([RobustScaler()], True),
    "largest": ([MaxAbsScaler()], True),
    "two": ([MinMaxScaler(clip=True), StandardScaler(with_std=False)], True),
    "then another": ([StandardScaler(), PCA(2)], True),
    "another first": ([PCA(2), StandardScaler()], False),
    "side by side": ([FeatureUnion([("one", StandardScaler()), ("other", PCA(2))])], False),
    "none": ([], False),
}


@pytest.fixture(autouse=True)
def lower_inplace_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimators, "MIN_INPLACE_BYTES", ROWS * len(NAMES) * 8)


def numbers(rows: int, names: Sequence[str] = NAMES) -> NumericTable:
    cells = np.random.default_rng(0).normal(3, 5, (len(names), rows))
    return NumericTable(tuple(names), cells, (False,) * len(names))


def bind_for_numbers(pipeline: Pipeline) -> ArtifactModel:
    bound = bind_estimator(pipeline, SETTINGS)
    assert bound.accepts_numeric_table
    return bound


@each_case(("steps", "overwrites"), PIPELINES.values(), ids=PIPELINES)
def test_predictions_are_the_same_to_the_last_bit(steps: Sequence[Any], overwrites: bool) -> None:
    table = numbers(ROWS)
    pipeline = make_pipeline(*steps, LinearRegression()).fit(table.to_frame(), np.arange(ROWS) % 7)
    wanted = pipeline.predict(table.to_frame())
    found = bind_for_numbers(pipeline).predict(table).values
    assert found.tobytes() == wanted.tobytes()
    assert (table.cells.tobytes() != numbers(ROWS).cells.tobytes()) is overwrites
    assert all(getattr(step, "copy", True) for _, step in pipeline.steps[:-1])


def test_small_samples_and_frames_are_not_overwritten() -> None:
    small, frame = numbers(ROWS - 1), numbers(ROWS).to_frame()
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(frame, np.arange(ROWS))
    bound = bind_for_numbers(pipeline)
    bound.predict(small)
    bound.predict(frame)
    assert small.cells.tobytes() == numbers(ROWS - 1).cells.tobytes()
    assert frame.to_numpy().tobytes() == numbers(ROWS).to_frame().to_numpy().tobytes()


def test_reordered_and_integer_columns_predict_the_same() -> None:
    table = numbers(ROWS)
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(table.to_frame(), np.arange(ROWS))
    bound = bind_for_numbers(pipeline)
    mixed = numbers(ROWS, ("c", "a", "b"))
    whole = NumericTable(NAMES, np.arange(3 * ROWS).reshape(3, ROWS), (True,) * 3)
    for samples in (mixed, whole):
        wanted = pipeline.predict(samples.to_frame()[list(NAMES)])
        assert bound.predict(samples).values.tobytes() == wanted.tobytes()


class OwnPipeline(Pipeline):  # type: ignore[misc]
    """A subclass outside scikit-learn."""


def test_derived_pipeline_does_not_overwrite_samples() -> None:
    table = numbers(ROWS)
    pipeline = OwnPipeline([("scale", StandardScaler()), ("fit", LinearRegression())]).fit(
        table.to_frame(), range(ROWS)
    )
    bind_estimator(pipeline, SETTINGS).predict(table)
    assert table.cells.tobytes() == numbers(ROWS).cells.tobytes()
