"""Compile an estimator: a pipeline step by step, its last step by the first compiler that supports it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from datarobot_drum.drum.compiled_models.column_transformer import compile_column_transformer
from datarobot_drum.drum.compiled_models.forms import (
    CannotCompileError,
    CompiledForm,
    MissingExtraError,
    NotCoveredError,
    Step,
)
from datarobot_drum.drum.compiled_models.numpy_estimators import compile_estimator
from datarobot_drum.drum.compiled_models.numpy_transformers import compile_transformer
from datarobot_drum.drum.compiled_models.original_classes import SEARCHES, class_name, foreign_part, outputs_arrays
from datarobot_drum.drum.imports import import_from_string

logger = logging.getLogger(__name__)

_NUMPY = "NumPy"
_PACKAGE = "datarobot_drum.drum.compiled_models"

Compiler = Callable[[Any, str], CompiledForm]
"""From an estimator and the method to compile; raises ``CannotCompileError``."""


def _compile_by_numpy(estimator: Any, method: str) -> CompiledForm:
    return CompiledForm((_NUMPY,), compile_estimator(estimator, method))


def _compile_by(path: str, extra: str = "compile") -> Compiler:
    """Return a compiler whose module, and so its library, is imported when it is called."""

    def compile_lazily(estimator: Any, method: str) -> CompiledForm:
        try:
            compiler: Compiler = import_from_string(path)
        except ModuleNotFoundError as error:
            advice = f"install datarobot-drum[{extra}] for a faster form of {type(estimator).__name__}"
            raise MissingExtraError(f"{error.name} is not installed: {advice}") from error
        return compiler(estimator, method)

    return compile_lazily


_ENSEMBLES = frozenset({
    "RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor",
    "GradientBoostingClassifier", "GradientBoostingRegressor", "HistGradientBoostingClassifier",
    "HistGradientBoostingRegressor", "IsolationForest",
})  # fmt: skip
_BOOSTERS = frozenset({
    "XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor", "LGBMClassifier", "LGBMRegressor", "Booster",
})  # fmt: skip

_COMPILERS: tuple[tuple[frozenset[str], Compiler], ...] = (
    (_ENSEMBLES, _compile_by(f"{_PACKAGE}.treelite_sklearn:compile_ensemble")),
    (_BOOSTERS, _compile_by(f"{_PACKAGE}.treelite_boosters:compile_booster")),
)
"""Compilers of a last step for some classes, whose libraries are not imported for any other."""

_by_onnx = _compile_by(f"{_PACKAGE}.onnx_estimators:compile_by_onnx", "compile-onnx")
"""The compiler of other estimators of scikit-learn, whose predictions are seldom equal to the last bit."""


def compile_model(estimator: Any, method: str, *, exact: bool = True) -> CompiledForm:
    """Compile an estimator's method.

    Args:
        exact: False also tries compilers that are seldom equal to the last bit.

    Raises:
        CannotCompileError: no step of the estimator can be compiled; the message is the reason.
    """
    name = class_name(estimator)
    if name in SEARCHES:
        return compile_model(estimator.best_estimator_, method, exact=exact)
    if (part := foreign_part(estimator)) is not None:
        raise CannotCompileError(f"{_describe(part)} is no code of a library, or was replaced")
    if name == "Pipeline":
        return _compile_pipeline(estimator, method, exact)
    return _compile_last_step(estimator, method, exact)


def _compile_last_step(estimator: Any, method: str, exact: bool) -> CompiledForm:
    reasons: list[CannotCompileError] = []
    for compiler in _compilers_of(estimator, exact):
        form = _try(compiler, estimator, method)
        if isinstance(form, CompiledForm):
            return form
        reasons.append(form)
    missing = (reason for reason in reasons if isinstance(reason, MissingExtraError))
    no_compiler = CannotCompileError(f"no compiler for {method} of {type(estimator).__name__}")
    raise next(missing, reasons[-1] if reasons else no_compiler)


def _try(compiler: Compiler, estimator: Any, method: str) -> CompiledForm | CannotCompileError:
    try:
        return compiler(estimator, method)
    except CannotCompileError as error:
        return error


def _compilers_of(estimator: Any, exact: bool) -> Iterator[Compiler]:
    name = class_name(estimator)
    is_scikit_learn = type(estimator).__module__.startswith("sklearn.")
    if is_scikit_learn:
        yield _compile_by_numpy
    yield from (compiler for names, compiler in _COMPILERS if name in names)
    if is_scikit_learn and not exact:
        yield _by_onnx


def _describe(part: Any) -> str:
    return str(getattr(part, "__name__", type(part).__name__))


def _compile_pipeline(pipeline: Any, method: str, exact: bool) -> CompiledForm:
    if not outputs_arrays(pipeline) or getattr(pipeline, "transform_input", None):
        raise CannotCompileError("a Pipeline whose output was set")
    transformers = [step for _, step in pipeline.steps[:-1] if step not in (None, "passthrough")]
    last = pipeline.steps[-1][1]
    names: list[str] = []
    try:
        form = compile_model(last, method, exact=exact)
        names += form.compilers
    except CannotCompileError as error:
        level = logging.INFO if isinstance(error, MissingExtraError) else logging.DEBUG
        logger.log(level, "The last step of the model is not compiled: %s.", error)
        form = CompiledForm((), getattr(last, method))
    steps: list[Step] = []
    for position, transformer in enumerate(transformers):
        is_before_last = position == len(transformers) - 1
        compiled = _compile_or_none(transformer, dense=is_before_last and form.takes_dense)
        names += [_NUMPY] if compiled else []
        steps.append(compiled or _original_step(transformer))
    if not names:
        raise CannotCompileError("no step of the Pipeline can be compiled")
    return CompiledForm(tuple(names), _chain(steps, form.predict), form.parts, form.nbytes)


def _compile_or_none(transformer: Any, *, dense: bool) -> Step | None:
    try:
        if class_name(transformer) == "ColumnTransformer":
            return compile_column_transformer(transformer, dense=dense)
        return compile_transformer(transformer)
    except CannotCompileError as error:
        logger.debug("A step is not compiled: %s.", error)
        return None


def _original_step(transformer: Any) -> Step:
    def transform(data: Any) -> Any:
        try:
            return transformer.transform(data)
        except Exception as error:  # the original raises it again
            raise NotCoveredError from error

    return transform


def _chain(steps: list[Step], predict: Step) -> Step:
    def predict_all(data: Any) -> Any:
        for step in steps:
            data = step(data)
        return predict(data)

    return predict_all
