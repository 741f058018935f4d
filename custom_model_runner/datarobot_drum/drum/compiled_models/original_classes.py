"""Detect estimators of a library whose code is unchanged: only these may be compiled."""

from __future__ import annotations

import sys
from functools import lru_cache, partial
from types import FunctionType
from typing import Any

import numpy as np

LIBRARIES = frozenset({"sklearn", "xgboost", "lightgbm"})
SEARCHES = frozenset({"GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"})
"""Estimators that predict with their best one."""
_NEUTRAL = frozenset(
    {"builtins", "abc", "typing", "object", "collections", "dataclasses", "enum", "_abc", "re", "inspect"}
)
_FUNCTION_LIBRARIES = LIBRARIES | {"builtins", "numpy", "scipy", "math", "operator"}


def is_original(part: Any) -> bool:
    """Return True for an instance of a library's own class, not of a subclass, without replaced methods."""
    kind: type = type(part)
    if _root(kind.__module__) not in LIBRARIES or not _check_methods(kind, _fingerprint(kind)):
        return False
    return not any(callable(value) and hasattr(kind, name) for name, value in vars(part).items())


def foreign_part(estimator: Any) -> Any | None:
    """Return a nested estimator, or a function that one calls, which is no library's own; None without one.

    A proof would call such code with made-up samples, and its results may depend on more than the samples.
    """
    get_params = getattr(estimator, "get_params", None)
    parameters = get_params(deep=True).values() if callable(get_params) else ()
    for part in (estimator, *parameters):
        if hasattr(part, "fit"):
            if not isinstance(part, type) and not is_original(part):
                return part
        elif callable(part) and not _is_library_function(part):
            return part
    return None


def _is_library_function(function: Any) -> bool:
    if isinstance(function, type):
        return _root(function.__module__) in _FUNCTION_LIBRARIES
    if isinstance(function, np.ufunc):
        return True
    names = getattr(function, "__globals__", None)
    module = names.get("__name__") if names is not None else getattr(function, "__module__", None)
    return _root(module or "") in _FUNCTION_LIBRARIES and not isinstance(function, partial)


def class_name(part: Any) -> str:
    """Return the name of the class of an original part; empty for any other object."""
    return type(part).__name__ if is_original(part) else ""


def outputs_arrays(part: Any) -> bool:
    """Return True if ``set_output`` has not changed what the part returns."""
    scikit_learn = sys.modules.get("sklearn")
    is_default = scikit_learn is None or scikit_learn.get_config().get("transform_output") == "default"
    return is_default and not getattr(part, "_sklearn_output_config", None)


@lru_cache(maxsize=256)
def _check_methods(kind: type, fingerprint: tuple[int, ...]) -> bool:
    """Return True if every attribute of the class and its bases was defined in a library's own module."""
    return all(
        _root(cls.__module__) in LIBRARIES | _NEUTRAL and all(map(_is_own, vars(cls).values())) for cls in kind.__mro__
    )


def _fingerprint(kind: type) -> tuple[int, ...]:
    """Return the identities of the class's attributes, which change when one is replaced."""
    return tuple(id(value) for cls in kind.__mro__ for value in vars(cls).values())


def _is_own(value: Any) -> bool:
    """Return True for a function of a library's module, whatever ``functools.wraps`` says, and for plain data."""
    if _root(type(value).__module__) not in LIBRARIES | _NEUTRAL:
        return False
    function = getattr(value, "fn", None) or getattr(value, "fget", None) or getattr(value, "__func__", None) or value
    if not isinstance(function, FunctionType):
        return True
    return _root(str(function.__globals__.get("__name__"))) in LIBRARIES | _NEUTRAL


def _root(module: str) -> str:
    return module.partition(".")[0]
