"""Keras 3: ``.keras`` and ``.h5`` files, on the backend that ``KERAS_BACKEND`` names.

Files are loaded in Keras's safe mode, which rejects code inside the file. Register your own classes in ``custom.py``
with ``keras.saving.register_keras_serializable``; it is imported before the model is loaded.

``predict`` receives an array with one row per sample and must return values or probabilities. Column k is the k-th
declared label; a lone column is the positive label's.

Thread safety: none; ``predict`` keeps state in the model, so one call runs at a time.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import bind_numbers, require_column_count
from datarobot_drum.drum.artifact_predictors.features import to_matrix
from datarobot_drum.drum.artifact_predictors.load_policy import check_keras
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.exceptions import ModelLoadError

try:
    import keras
except ModuleNotFoundError as missing:
    if missing.name == "keras":
        raise
    raise ModelLoadError(
        f"Keras needs the module {missing.name} for its backend: install it, or set KERAS_BACKEND to torch, jax or "
        "tensorflow, whichever is installed."
    ) from missing
from datarobot_drum.drum.input_schema.columns import NUMBER, InputSchema

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

_TABLE_RANK = 2


class KerasPredictor(ArtifactPredictor):
    name = "keras"
    extensions = (".keras", ".h5")
    thread_safe = False

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        check_keras(path, self.policy)
        with artifact_load_errors(path):
            return keras.saving.load_model(str(path), compile=False)

    def accepts(self, model: Any) -> bool:
        return isinstance(model, keras.Model)

    def input_schema(self, model: Any) -> InputSchema:
        return InputSchema((NUMBER,) * (_table_width(model) or 0), rest=NUMBER, accepts_missing=True)

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        if isinstance(model.output_shape, tuple) and len(model.output_shape) == _TABLE_RANK:
            require_column_count(model.output_shape[1], settings)
        lock = threading.Lock()

        def predict(data: Any) -> Any:
            values = to_matrix(data, np.float32)
            with lock:
                return model.predict(values, verbose=0)

        return bind_numbers(predict, settings)


def _table_width(model: Any) -> int | None:
    """Return the number of columns of the single input, None for any number."""
    shape = getattr(model, "input_shape", None)
    if isinstance(shape, tuple) and len(shape) == _TABLE_RANK and isinstance(model.output_shape, tuple):
        return shape[1] if isinstance(shape[1], int) else None
    raise ModelLoadError(
        f"The Keras model takes inputs of shape {shape}, which cannot be filled from a table, or has several outputs: "
        "add a score hook to custom.py."
    )
