"""A fixture that loads the model of a test and closes it afterwards."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from tests.artifact_predictors.loaded_models import Load
from tests.language_predictors.builders import model_settings


@pytest.fixture
def load(tmp_path: Path, load_with: Load) -> Load:
    """Load the model in ``tmp_path``, after pickling ``model`` there if given."""

    def create_and_load(target_type: str, labels: tuple[str, ...] = (), model: Any = None) -> BasePredictor:
        if model is not None:
            (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
        return load_with(target_type, labels)

    return create_and_load


@pytest.fixture
def load_with(tmp_path: Path) -> Iterator[Load]:
    """Load the model in ``tmp_path`` with settings."""
    loaded: list[BasePredictor] = []

    def create_and_load(target_type: str, labels: tuple[str, ...] = (), **changes: Any) -> BasePredictor:
        predictor = create_predictor(model_settings(tmp_path, target_type, labels, **changes))
        loaded.append(predictor)
        predictor.load()
        return predictor

    yield create_and_load
    for predictor in loaded:
        predictor.close()
