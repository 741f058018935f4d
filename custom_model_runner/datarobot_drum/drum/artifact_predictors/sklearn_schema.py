"""The input schema of fitted scikit-learn objects.

Types are found from the last step of a pipeline to its first: each step states the columns that it takes, given the
columns that the following step takes (``takes``). A scaler takes numbers, an encoder the types of its categories, a
selector what follows. Classes are looked up by name in ``_RULES``; a class that is not scikit-learn's own, and derives
from none in the table, takes columns of unknown types.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from datarobot_drum.drum.artifact_predictors.schema_columns import (
    UNUSED,
    Taken,
    category_column,
    imputed_column,
    merge,
    merge_all,
    resolve_positions,
)
from datarobot_drum.drum.artifact_predictors.schema_of_booster import booster_schema
from datarobot_drum.drum.input_schema.columns import ANY, NUMBER, Column, ColumnType, InputSchema

logger = logging.getLogger(__name__)

_TEXTS = Column(ColumnType.TEXT, fill="")
"""The texts of a vectorizer, which fails on missing ones."""

_PASSED = ("passthrough", None)
_DROPPED = "drop"
_MAX_NESTING = 30

Takes = Callable[[Any, Taken], Taken]


def input_schema_of(model: Any) -> InputSchema:
    """Return the columns that a fitted estimator or transformer takes."""
    try:
        taken = _takes(model, Taken(), 0)
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # pickled by another version, or not fitted
        logger.warning("The types of the model's columns cannot be read: %s: %s", type(error).__name__, error)
        taken = Taken().named(getattr(model, "feature_names_in_", None))
    names, columns = taken.names, taken.columns
    if columns is None:
        columns = (ANY,) * len(names or ())
    if names is not None and len(names) != len(columns):
        return InputSchema()
    return InputSchema(columns, None if names is None else tuple(names), takes_series=taken.is_series)


def _takes(part: Any, following: Taken, depth: int) -> Taken:
    """Return what ``part`` takes if the columns that it outputs must be ``following``."""
    if depth > _MAX_NESTING:
        return Taken()
    booster = booster_schema(part)
    if booster is not None:
        columns = tuple(replace(column, rejects_missing=not booster.accepts_missing) for column in booster.columns)
        return Taken(columns or None, booster.names)
    rule = next((_RULES[name] for name in _own_classes(part) if name in _RULES), None)
    if rule is not None:
        taken = rule(_Part(part, depth), following)
    else:
        taken = Taken(_repeat(NUMBER if _takes_numbers(part) else ANY, width_of(part)))
    return taken if taken.names is not None else taken.named(getattr(part, "feature_names_in_", None))


class _Part:
    """A fitted object, with the depth of its nesting."""

    def __init__(self, fitted: Any, depth: int) -> None:
        self.fitted = fitted
        self.depth = depth

    def inner(self, part: Any, following: Taken | None = None) -> Taken:
        return _takes(part, Taken() if following is None else following, self.depth + 1)


def _own_classes(part: Any) -> list[str]:
    """Return the names of the classes of scikit-learn that an object is of."""
    return [kind.__name__ for kind in type(part).__mro__ if kind.__module__.partition(".")[0] == "sklearn"]


def width_of(part: Any) -> int | None:
    width = getattr(part, "n_features_in_", None)
    return int(width) if isinstance(width, int | np.integer) else None


def _repeat(column: Column, width: int | None) -> tuple[Column, ...] | None:
    return None if width is None else (column,) * width


def _takes_numbers(part: Any) -> bool:
    """Return True for an estimator of scikit-learn that converts its input to an array of numbers."""
    if type(part).__module__.partition(".")[0] != "sklearn":
        return False
    try:
        from sklearn.utils import get_tags
    except ImportError:  # before 1.6
        types = set(part._get_tags()["X_types"]) if hasattr(part, "_get_tags") else set()
        return not types & {"string", "categorical", "dict"}
    tags = get_tags(part)
    given = tags.input_tags
    return not (tags.no_validation or given.string or given.categorical or given.dict or not given.two_d_array)


def _pipeline(part: _Part, following: Taken) -> Taken:
    names = None
    for _, step in reversed(part.fitted.steps):
        if step in _PASSED or (hasattr(step, "fit_resample") and not hasattr(step, "transform")):
            continue
        following = part.inner(step, following)
        names = following.names
    return following.named(names)


def _column_transformer(part: _Part, following: Taken) -> Taken:
    fitted = part.fitted
    names = getattr(fitted, "feature_names_in_", None)
    width = width_of(fitted)
    if width is None:
        return Taken()
    columns = [UNUSED] * width
    outputs = getattr(fitted, "output_indices_", {})
    for name, step, selection in fitted.transformers_:
        positions = resolve_positions(selection, names, width)
        if step == _DROPPED or not positions:
            continue
        wanted = following.slice(outputs.get(name))
        taken = wanted if step in _PASSED else part.inner(step, wanted)
        for position, column in zip(positions, taken.of_width(len(positions)), strict=True):
            columns[position] = merge(columns[position], column)
    return Taken(tuple(columns), names)


def _feature_union(part: _Part, following: Taken) -> Taken:
    uniform = following.uniform()
    branches = [step for _, step in part.fitted.transformer_list if step != _DROPPED]
    return merge_all([uniform if step in _PASSED else part.inner(step, uniform) for step in branches])


def _encoder(part: _Part, following: Taken) -> Taken:
    fitted = part.fitted
    rejects_unknown = getattr(fitted, "handle_unknown", "ignore") == "error"
    columns = tuple(category_column(categories, rejects_unknown) for categories in fitted.categories_)
    return Taken(columns)


def _simple_imputer(part: _Part, following: Taken) -> Taken:
    fitted = part.fitted
    statistics = np.asarray(fitted.statistics_, dtype=object)
    keeps_all = fitted.strategy == "constant" or getattr(fitted, "keep_empty_features", False)
    kept = [keeps_all or value == value for value in statistics]
    wanted = iter(following.of_width(sum(kept), at_least=True))
    after = [next(wanted) if is_kept else ANY for is_kept in kept]
    columns = [imputed_column(fitted, value, column) for value, column in zip(statistics.tolist(), after, strict=True)]
    return Taken(tuple(columns))


def _number_imputer(part: _Part, following: Taken) -> Taken:
    return Taken(_repeat(Column(ColumnType.NUMBER, rejects_missing=False), width_of(part.fitted)))


def _missing_indicator(part: _Part, following: Taken) -> Taken:
    return Taken(_repeat(Column(rejects_missing=False), width_of(part.fitted)))


def _selector(part: _Part, following: Taken) -> Taken:
    return _merge_selected(part.fitted, _repeat(NUMBER, width_of(part.fitted)), following)


def _model_selector(part: _Part, following: Taken) -> Taken:
    return _merge_selected(part.fitted, part.inner(part.fitted.estimator_).columns, following)


def _merge_selected(selector: Any, own: tuple[Column, ...] | None, following: Taken) -> Taken:
    """Return the columns of a selector; those that it selects are also what follows."""
    if own is None:
        return Taken()
    columns = list(own)
    selected = np.flatnonzero(selector.get_support())
    for position, column in zip(selected, following.of_width(len(selected)), strict=True):
        columns[position] = merge(columns[position], column)
    return Taken(tuple(columns))


def _vectorizer(part: _Part, following: Taken) -> Taken:
    return Taken((_TEXTS,), is_series=True)


def _function_transformer(part: _Part, following: Taken) -> Taken:
    """Return what follows the identity, numbers for NumPy's functions; any other function takes unknown types."""
    fitted, width = part.fitted, width_of(part.fitted)
    if width is None:  # trained on a Series
        return Taken((_TEXTS,), is_series=True) if following.is_series else Taken()
    if fitted.func is None:
        return Taken(following.of_width(width))
    if following.is_series and width == 1:
        return Taken((_TEXTS,))
    takes_numbers = isinstance(fitted.func, np.ufunc) or fitted.validate
    return Taken(_repeat(NUMBER if takes_numbers else ANY, width))


def _histogram_boosting(part: _Part, following: Taken) -> Taken:
    preprocessor = getattr(part.fitted, "_preprocessor", None)
    width = width_of(part.fitted)
    number = Column(ColumnType.NUMBER, rejects_missing=False)
    if preprocessor is None or width is None:
        return Taken(_repeat(number, width))
    columns = [number] * width
    for name, step, selection in preprocessor.transformers_:
        if name == "encoder":
            for position, categories in zip(resolve_positions(selection, None, width), step.categories_, strict=True):
                columns[position] = category_column(categories, rejects_unknown=False)
    return Taken(tuple(columns))


def _dummy(part: _Part, following: Taken) -> Taken:
    return Taken(_repeat(UNUSED, width_of(part.fitted)))


def _gaussian_process(part: _Part, following: Taken) -> Taken:
    takes_numbers = getattr(getattr(part.fitted, "kernel_", None), "requires_vector_input", True)
    return Taken(_repeat(NUMBER if takes_numbers else ANY, width_of(part.fitted)))


def _nested(*attributes: str) -> Takes:
    """Return a rule for an estimator that predicts with those in an attribute, on the columns that it receives."""

    def takes(part: _Part, following: Taken) -> Taken:
        found: Any = None
        for attribute in attributes:
            found = getattr(part.fitted, attribute, None)
            if found is not None:
                break
        parts = found if isinstance(found, Sequence) else [found]
        return merge_all([part.inner(nested, following) for nested in parts if _is_used(nested)])

    return takes


def _is_used(part: Any) -> bool:
    return part is not None and not isinstance(part, str)


def _calibrated(part: _Part, following: Taken) -> Taken:
    inside = [_first_attribute(item, ("estimator", "base_estimator")) for item in part.fitted.calibrated_classifiers_]
    return merge_all([part.inner(nested) for nested in inside])


def _first_attribute(part: Any, names: Iterable[str]) -> Any:
    return next((value for name in names if (value := getattr(part, name, None)) is not None), None)


def _chain(part: _Part, following: Taken) -> Taken:
    """Return what the estimators of a chain take, without the targets that they predict for each other."""
    width = width_of(part.fitted)
    taken = [part.inner(nested).columns for nested in part.fitted.estimators_]
    if width is None:
        return Taken()
    return merge_all([Taken(None if columns is None else columns[:width]) for columns in taken])


def _bagging(part: _Part, following: Taken) -> Taken:
    fitted, width = part.fitted, width_of(part.fitted)
    if width is None:
        return Taken()
    columns = [UNUSED] * width
    for nested, positions in zip(fitted.estimators_, fitted.estimators_features_, strict=True):
        for position, column in zip(positions, part.inner(nested).of_width(len(positions)), strict=True):
            columns[position] = merge(columns[position], column)
    # The ensemble converts all columns to one array, those that no member uses, too.
    common = Taken(tuple(column for column in columns if column is not UNUSED)).common
    return Taken(tuple(common if column is UNUSED else column for column in columns))


_RULES: dict[str, Takes] = {
    "Pipeline": _pipeline,
    "ColumnTransformer": _column_transformer,
    "FeatureUnion": _feature_union,
    "OneHotEncoder": _encoder,
    "OrdinalEncoder": _encoder,
    "TargetEncoder": _encoder,
    "SimpleImputer": _simple_imputer,
    "KNNImputer": _number_imputer,
    "IterativeImputer": _number_imputer,
    "MissingIndicator": _missing_indicator,
    "SelectFromModel": _model_selector,
    "SelectorMixin": _selector,
    "CountVectorizer": _vectorizer,
    "HashingVectorizer": _vectorizer,
    "FunctionTransformer": _function_transformer,
    "BaseHistGradientBoosting": _histogram_boosting,
    "DummyClassifier": _dummy,
    "DummyRegressor": _dummy,
    "GaussianProcessClassifier": _gaussian_process,
    "GaussianProcessRegressor": _gaussian_process,
    "BaseSearchCV": _nested("best_estimator_"),
    "TransformedTargetRegressor": _nested("regressor_"),
    "OneVsRestClassifier": _nested("estimators_"),
    "OneVsOneClassifier": _nested("estimators_"),
    "OutputCodeClassifier": _nested("estimators_"),
    "_MultiOutputEstimator": _nested("estimators_"),
    "_BaseVoting": _nested("estimators_"),
    "_BaseStacking": _nested("estimators_"),
    "BaseWeightBoosting": _nested("estimators_"),
    "SelfTrainingClassifier": _nested("estimator_", "base_estimator_"),
    "BaseThresholdClassifier": _nested("estimator_"),
    "RANSACRegressor": _nested("estimator_"),
    "FrozenEstimator": _nested("estimator"),
    "CalibratedClassifierCV": _calibrated,
    "_BaseChain": _chain,
    "BaseBagging": _bagging,
}
