"""Predicts which of two classes a row belongs to: a logistic model."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

Weights = dict[str, float]


def load_model(code_dir: str) -> Weights:
    """Load your own model here; its return value is passed to every other hook.

    Put a scikit-learn pickle into the folder and delete this hook and ``score``: such a model needs no code.
    """
    weights: Weights = json.loads((Path(code_dir) / "weights.json").read_text(encoding="utf-8"))
    return weights


def transform(data: pd.DataFrame, model: Weights) -> pd.DataFrame:
    """Prepare the rows: select the model's columns and fill missing values with 0."""
    return data[list(model)].fillna(0.0)


def score(data: pd.DataFrame, model: Weights, positive_class_label: str, negative_class_label: str) -> pd.DataFrame:
    """Return the probability of each class; those of a row sum to 1. The labels come from model-metadata.yaml."""
    positive = 1.0 / (1.0 + np.exp(-(data @ pd.Series(model))))
    return pd.DataFrame({negative_class_label: 1.0 - positive, positive_class_label: positive})
