"""The fixture ``load``: models that are loaded for a test; and predictions of a loaded model."""

import io
import pickle
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from tests.language_predictors.builders import model_settings


@dataclass
class Load:
    """Loads the model in a folder, after pickling ``model`` there if given; other arguments are settings."""

    folder: Path
    loaded: list[BasePredictor] = field(default_factory=list)

    def __call__(
        self, target_type: str, labels: tuple[str, ...] = (), model: Any = None, **changes: Any
    ) -> BasePredictor:
        if model is not None:
            (self.folder / "model.pkl").write_bytes(pickle.dumps(model))
        predictor = create_predictor(model_settings(self.folder, target_type, labels, **changes))
        self.loaded.append(predictor)
        predictor.load()
        return predictor

    def in_folder(self, folder: Path) -> "Load":
        return replace(self, folder=folder)


def predict_csv(predictor: BasePredictor, data: pd.DataFrame) -> Predictions:
    """Predict the rows of ``data``, sent as csv."""
    content = io.BytesIO(data.to_csv(index=False).encode())
    return predictor.predict(predictor.read_input(StructuredPayload(content, PayloadFormat.CSV)))
