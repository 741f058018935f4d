"""The area of a rectangle: a model that is worth guarding."""

from typing import Any

import pandas as pd


def load_model(code_dir: str) -> str:
    return "width times height"


def score(data: pd.DataFrame, model: str, **kwargs: Any) -> pd.DataFrame:
    return pd.DataFrame({"Predictions": data["width"] * data["height"]})
