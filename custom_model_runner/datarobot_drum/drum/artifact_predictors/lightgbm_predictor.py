"""LightGBM: native text files as a ``Booster``, and the scikit-learn classes from pickles.

A native file contains no class names: column k is the k-th declared label, a lone column the positive label's. Input
columns are selected by name if the file has names, in which LightGBM replaces blanks by underscores.

Thread safety: a loaded booster may predict in several threads; the library takes a shared lock.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import lightgbm
import pandas as pd

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import bind_numbers, require_column_count
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.artifact_predictors.features import require_numbers, select_columns, to_csr
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.input_schema.selection import require_width
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

_UNNAMED = re.compile(r"Column_\d+")


class LightGBMPredictor(ArtifactPredictor):
    name = "lightgbm"
    extensions = ()

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        with artifact_load_errors(path):
            return lightgbm.Booster(model_file=str(path))

    def accepts(self, model: Any) -> bool:
        return isinstance(model, lightgbm.Booster) or hasattr(model, "predict")

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        if not isinstance(model, lightgbm.Booster):
            return bind_estimator(model, settings)
        header = _header(model)
        if settings.target_type is TargetType.MULTICLASS and header["objective"].startswith("multiclassova"):
            raise ModelLoadError(
                "The model's objective multiclassova gives probabilities that do not sum to 1: train with multiclass."
            )
        bound = bind_numbers(_predict_function(model, header), settings)
        require_column_count(model.num_model_per_iteration(), settings)
        return bound


def _header(booster: Any) -> dict[str, str]:
    """Return the key-value pairs before the trees of a model file."""
    lines = booster.model_to_string(num_iteration=1).split("\n\n", 1)[0].splitlines()
    pairs = (line.partition("=") for line in lines)
    return {"objective": "", "feature_infos": "", **{key: value for key, _, value in pairs}}


def _predict_function(booster: Any, header: dict[str, str]) -> Any:
    known = booster.feature_name()
    names = None if all(_UNNAMED.fullmatch(name) for name in known) else known
    width = booster.num_feature()
    positions = _category_positions(header) if booster.pandas_categorical else []

    def predict(data: Any) -> Any:
        data = select_columns(data, names)
        require_width(data, width)
        if isinstance(data, pd.DataFrame):
            categories = [data.columns[position] for position in positions]
            require_numbers(data, except_for=categories)
            data = data.astype(dict.fromkeys(categories, "category"))
        return booster.predict(to_csr(data))

    return predict


def _category_positions(header: dict[str, str]) -> list[int]:
    """Return the categorical columns: numeric ones have a range in brackets, unused ones ``none``."""
    infos = header["feature_infos"].split()
    return [position for position, info in enumerate(infos) if info != "none" and not info.startswith("[")]
