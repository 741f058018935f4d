"""A model that is loaded in the process of a command and closed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.settings.build import ModelSettings

if TYPE_CHECKING:
    from datarobot_drum.drum.language_predictors.transforms import Transformed


@contextmanager
def loaded_model(model: ModelSettings) -> Iterator[BasePredictor]:
    """Load the model as a server does and yield its predictor.

    Raises:
        ModelLoadError: the model could not be found or loaded.
    """
    predictor = create_predictor(model)
    predictor.load()
    try:
        yield predictor
    finally:
        predictor.close()


def predict_rows(predictor: BasePredictor, samples: Any) -> Predictions:
    """Return the predictions of rows from ``read_input``, or the transformed rows as predictions.

    Raises:
        RequestError: the model rejects the rows or fails.
    """
    if predictor.transforms:
        return _as_rows(predictor.transform_samples(samples))
    return predictor.predict(samples)


def _as_rows(transformed: Transformed) -> Predictions:
    """Return floats as an array, other types as objects, so that whole numbers stay whole."""
    if transformed.is_sparse:
        return Predictions(transformed.names, transformed.features.toarray())
    table = transformed.features
    if all(dtype.kind == "f" for dtype in table.dtypes):
        return Predictions(transformed.names, table.to_numpy(dtype="float64"))
    cells = table.astype(object)
    return Predictions(transformed.names, cells.where(table.notna(), None).to_numpy())
