"""Generated rows: each has the prediction of the library itself, alone, in any batch and by every way."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, given, settings

from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from tests.cases import each_case
from tests.input_schema.onnx_models import ONNX_MODELS
from tests.input_schema.properties import EXAMPLES, check_rows_equal_batch
from tests.input_schema.tables import rows_of, to_typed, to_values
from tests.input_schema.tree_models import MODELS, TrainedModel
from tests.language_predictors.builders import model_settings

ALL_MODELS = {**MODELS, **ONNX_MODELS}


@contextmanager
def train_and_load(name: str, folder: Path) -> Iterator[tuple[BasePredictor, TrainedModel]]:
    """Train, save and load a model; while several are loaded, imports in functions are slow."""
    trained = ALL_MODELS[name]()
    trained.save(folder)
    predictor = create_predictor(model_settings(folder, metadata=_metadata(folder)))
    try:
        predictor.load()
        yield predictor, trained
    finally:
        predictor.close()


def _metadata(folder: Path) -> object:
    path = folder / "model-metadata.yaml"
    return json.loads(path.read_text()) if path.exists() else None


@each_case("name", ALL_MODELS)
def test_rows_equal_the_librarys_predictions_by_every_way(tmp_path: Path, name: str) -> None:
    with train_and_load(name, tmp_path) as (predictor, trained):

        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
        @given(rows_of(trained.features))
        def check(cells: pd.DataFrame) -> None:
            if trained.is_positional:
                cells = cells[[feature.name for feature in trained.features]]
            expected = trained.predict(to_values(trained.features, cells))
            check_rows_equal_batch(predictor, cells, expected, to_typed(trained.features, cells))

        check()
