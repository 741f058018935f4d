"""Classifies breast tumours as malignant or benign, with its own preprocessing."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datarobot_drum.drum.exceptions import CustomHTTPError

MEASURES = ("radius", "texture", "area", "smoothness", "concavity", "symmetry")


def load_model(code_dir: str) -> Any:
    """Load the pipeline that ``examples/make_artifacts.py`` trained."""
    return pickle.loads((Path(code_dir) / "model.pkl").read_bytes())


def transform(data: pd.DataFrame, model: Any) -> pd.DataFrame:
    """Return the worst value of each measure on a log scale, and its difference from the mean."""
    missing = [
        f"{kind} {measure}" for measure in MEASURES for kind in ("mean", "worst") if f"{kind} {measure}" not in data
    ]
    if missing:
        raise CustomHTTPError(f"Columns are missing: {', '.join(missing)}.", 422)
    worst = {f"log {measure}": np.log1p(data[f"worst {measure}"]) for measure in MEASURES}
    spread = {f"spread {measure}": data[f"worst {measure}"] - data[f"mean {measure}"] for measure in MEASURES}
    return pd.DataFrame({**worst, **spread})


def score(
    data: pd.DataFrame, model: Any, positive_class_label: str, negative_class_label: str, **kwargs: Any
) -> pd.DataFrame:
    """Return one probability per class label; the labels are those of the training data."""
    probabilities = pd.DataFrame(model.predict_proba(data), columns=model.classes_)
    return probabilities[[negative_class_label, positive_class_label]]
