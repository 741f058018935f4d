"""The result for an input with a header and no rows: the columns of a prediction, and no rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from datarobot_drum.drum.commands.loaded_model import predict_rows
from datarobot_drum.drum.language_predictors.base import BasePredictor, Predictions


def predict_no_rows(predictor: BasePredictor, columns: Sequence[str]) -> Predictions:
    """Return an empty prediction with the columns that the model gives other rows.

    Most models reject a table without rows. A model without hooks then predicts one row of zeros, which is dropped.
    If that fails, too, only the columns are returned that every prediction has.
    """
    for rows in (0,) if predictor.has_prediction_hooks else (0, 1):
        try:
            predictions = predict_rows(predictor, pd.DataFrame(0.0, index=range(rows), columns=list(columns)))
        except Exception:  # libraries and hooks reject such rows in many ways
            continue
        extra = None if predictions.extra is None else predictions.extra.iloc[:0]
        return Predictions(predictions.columns, predictions.values[:0], extra)
    known = predictor.output_columns or tuple(columns)
    return Predictions(known, np.empty((0, len(known)), dtype=object))
