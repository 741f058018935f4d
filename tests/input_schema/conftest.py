"""A fixture that loads a model and closes it afterwards."""

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from tests.input_schema.loading import LoadModel
from tests.language_predictors.builders import model_settings


@pytest.fixture
def load_model(tmp_path: Path) -> Iterator[LoadModel]:
    """Load a fitted model from a pickle, with a declared input schema."""
    loaded: list[BasePredictor] = []

    def load(
        model: Any = None,
        schema: Mapping[str, Any] | None = None,
        custom: str = "",
        target_type: str = "regression",
        metadata: Mapping[str, Any] | None = None,
    ) -> BasePredictor:
        if model is not None:
            (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
        if custom:
            (tmp_path / "custom.py").write_text(custom, encoding="utf-8")
        document = {"inputSchema": schema, **(metadata or {})}
        predictor = create_predictor(model_settings(tmp_path, target_type, metadata=document))
        loaded.append(predictor)
        predictor.load()
        return predictor

    yield load
    for predictor in loaded:
        predictor.close()
