"""The area of an ellipse."""

from typing import Any

import pandas as pd
from shape import FACTOR


def load_model(code_dir: str) -> float:
    return float(FACTOR)


def score(data: pd.DataFrame, model: float, **kwargs: Any) -> pd.DataFrame:
    return pd.DataFrame({"Predictions": model * data["width"] * data["height"]})
