"""Compile an estimator: a pipeline step by step, its last step by the first compiler that supports it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from datarobot_drum.drum.compiled_models.column_transformer import compile_column_transformer
from datarobot_drum.drum.compiled_models.forms import CannotCompileError, CompiledForm, NotCoveredError, Step
from datarobot_drum.drum.compiled_models.numpy_estimators import compile_estimator
from datarobot_drum.drum.compiled_models.numpy_transformers import compile_transformer
from datarobot_drum.drum.compiled_models.original_classes import class_name, outputs_arrays
from datarobot_drum.drum.imports import import_from_string

logger = logging.getLogger(__name__)

_NUMPY = "NumPy"
_PACKAGE = "datarobot_drum.drum.compiled_models"
_SEARCHES = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")

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
            raise CannotCompileError(f"{error.name} is not installed: install datarobot-drum[{extra}]") from error
        return compiler(estimator, method)

    return compile_lazily


_COMPILERS: tuple[tuple[tuple[str, ...], Compiler], ...] = (
    (("sklearn",), _compile_by_numpy),
    (("sklearn",), _compile_by(f"{_PACKAGE}.treelite_sklearn:compile_ensemble")),
    (("xgboost", "lightgbm"), _compile_by(f"{_PACKAGE}.treelite_boosters:compile_booster")),
)
"""Compilers of a last step, in the order in which they are tried, with the libraries whose estimators they compile."""

_CLOSE: tuple[tuple[tuple[str, ...], Compiler], ...] = (
    (("sklearn",), _compile_by(f"{_PACKAGE}.onnx_estimators:compile_by_onnx", "compile-onnx")),
)
"""Further compilers, whose predictions are seldom equal to the last bit."""


def compile_model(estimator: Any, method: str, *, exact: bool = True) -> CompiledForm:
    """Compile an estimator's method.

    Args:
        exact: False also tries compilers that are seldom equal to the last bit.

    Raises:
        CannotCompileError: no step of the estimator can be compiled; the message is the reason.
    """
    name = class_name(estimator)
    if name in _SEARCHES:
        return compile_model(estimator.best_estimator_, method, exact=exact)
    if name == "Pipeline":
        return _compile_pipeline(estimator, method, exact)
    return _compile_last_step(estimator, method, _COMPILERS if exact else _COMPILERS + _CLOSE)


def _compile_last_step(
    estimator: Any, method: str, compilers: tuple[tuple[tuple[str, ...], Compiler], ...]
) -> CompiledForm:
    if not class_name(estimator):
        raise CannotCompileError(f"{type(estimator).__name__} is no class of a library, or its methods were replaced")
    root = type(estimator).__module__.partition(".")[0]
    reasons = []
    for roots, compiler in compilers:
        if root not in roots:
            continue
        try:
            return compiler(estimator, method)
        except CannotCompileError as error:
            reasons.append(str(error))
    raise CannotCompileError(reasons[-1] if reasons else f"no compiler for {type(estimator).__name__}")


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
        if class_name(last) == "":
            raise
        logger.debug("The last step is not compiled: %s.", error)
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
