"""LightGBM: native text files as a ``Booster``, and the scikit-learn classes from pickles.

A native file contains no class names, only their numbers from 0 on. Labels that are these numbers are matched; of any
others the k-th is class k, a lone column is that of class 1. Input columns are selected by name if the file has names,
in which LightGBM replaces blanks by underscores.

Thread safety: a loaded booster may predict in several threads; the library takes a shared lock.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import lightgbm
import pandas as pd

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import bind_numbers, require_column_count
from datarobot_drum.drum.artifact_predictors.estimator_kind import require_fitting_kind
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.artifact_predictors.features import require_numbers, select_columns, to_csr
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.model_labels import estimator_classes, order_numbered_classes
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.input_schema.selection import require_width
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

_CLASSIFIERS = ("binary", "multiclass", "multiclassova")
_REGRESSORS = (
    "regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie",
)  # fmt: skip
_UNNAMED = re.compile(r"Column_\d+")


class LightGBMPredictor(ArtifactPredictor):
    name = "lightgbm"
    extensions = ()

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        with artifact_load_errors(path):
            return lightgbm.Booster(model_file=str(path))

    def accepts(self, model: Any) -> bool:
        return isinstance(model, lightgbm.Booster) or hasattr(model, "predict")

    def require_fitting_target(self, model: Any, settings: ModelSettings) -> None:
        if isinstance(model, lightgbm.Booster):
            _require_fitting_objective(_objective(_header(model)), settings)
        else:
            require_fitting_kind(model, settings)

    def class_names(self, model: Any) -> Sequence[Any] | None:
        if not isinstance(model, lightgbm.Booster):
            return estimator_classes(model)
        is_classifier = _objective(_header(model)) in _CLASSIFIERS
        return range(max(2, model.num_model_per_iteration())) if is_classifier else None

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        if not isinstance(model, lightgbm.Booster):
            return bind_estimator(model, settings)
        header = _header(model)
        outputs = model.num_model_per_iteration()
        require_column_count(outputs, settings)
        is_classification = settings.target_type.is_classification
        order = order_numbered_classes(max(2, outputs), settings) if is_classification else None
        return bind_numbers(_predict_function(model, header), settings, order)


def _require_fitting_objective(objective: str, settings: ModelSettings) -> None:
    target_type = settings.target_type
    if target_type is TargetType.MULTICLASS and objective == "multiclassova":
        raise ModelLoadError(
            "The model's objective multiclassova gives probabilities that do not sum to 1: train with multiclass."
        )
    if target_type is TargetType.REGRESSION and objective in _CLASSIFIERS:
        kind = "binary" if objective == "binary" else "multiclass"
        raise ModelLoadError(f"The model's objective {objective} is that of a classifier: give --target-type {kind}.")
    if target_type.has_class_labels and objective in _REGRESSORS:
        raise ModelLoadError(
            f"The model's objective {objective} is that of a regressor, without class probabilities: give "
            "--target-type regression."
        )


def _objective(header: dict[str, str]) -> str:
    """Return the objective without its parameters."""
    return header["objective"].partition(" ")[0]


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
