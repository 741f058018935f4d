"""Folders of models for tests of compiled models."""

from __future__ import annotations

import io
import pickle
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.settings.compilation import CompileOptions
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from tests.language_predictors.builders import model_settings

NAMES = ["a", "b", "c"]
TABLE = pd.DataFrame(np.random.default_rng(0).normal(size=(150, 3)), columns=NAMES)
_loaded: list[BasePredictor] = []

TARGET = (TABLE["a"] + TABLE["b"] > 0).astype(int)


def load(
    folder: Path,
    model: Any = None,
    options: CompileOptions | None = None,
    target_type: str = "binary",
    labels: tuple[str, ...] = (),
) -> BasePredictor:
    """Load the predictor of a folder, to which the model is added as a pickle."""
    if model is not None:
        (folder / "model.pkl").write_bytes(pickle.dumps(model))
    settings = model_settings(folder, target_type, labels)
    predictor = create_predictor(replace(settings, compilation=options or CompileOptions()))
    predictor.load()
    _loaded.append(predictor)
    return predictor


def close_predictors() -> None:
    """Close the predictors that were loaded: open ones slow down every import within a function."""
    while _loaded:
        _loaded.pop().close()


def predict(predictor: BasePredictor, rows: pd.DataFrame) -> Any:
    """Return the values of a request with these rows."""
    body = io.BytesIO(rows.to_csv(index=False).encode())
    return predictor.predict(predictor.read_input(StructuredPayload(body, PayloadFormat.CSV))).values


def join_audits() -> None:
    """Wait for the comparisons that run."""
    for thread in threading.enumerate():
        if thread.name.startswith("compiled-model-audit"):
            thread.join(60)
