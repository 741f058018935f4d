"""The iterations with which a native XGBoost model predicts."""

from __future__ import annotations

from typing import Any


def iteration_range(booster: Any) -> tuple[int, int]:
    """Return the first iteration and the one after the last; zeros for all.

    A file of a scikit-learn class predicts as that class: after early stopping, with the best iteration.
    """
    attributes = booster.attributes()
    if "scikit_learn" in attributes and "best_iteration" in attributes:
        return 0, booster.best_iteration + 1
    return 0, 0
