"""Detect estimators of a library whose code is unchanged: only these may be compiled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from types import FunctionType
from typing import Any

LIBRARIES = frozenset({"sklearn", "xgboost", "lightgbm"})
_NEUTRAL = frozenset({"builtins", "abc", "typing", "object", "collections", "dataclasses", "enum"})


def is_original(part: Any) -> bool:
    """Return True for an instance of a library's own class, not of a subclass, without replaced methods."""
    kind = type(part)
    if _root(kind.__module__) not in LIBRARIES or not _has_original_methods(kind, _fingerprint(kind)):
        return False
    return not any(callable(value) and hasattr(kind, name) for name, value in vars(part).items())


def class_name(part: Any) -> str:
    """Return the name of the class of an original part; empty for any other object."""
    return type(part).__name__ if is_original(part) else ""


def outputs_arrays(part: Any) -> bool:
    """Return True if ``set_output`` has not changed what the part returns."""
    scikit_learn = sys.modules.get("sklearn")
    is_default = scikit_learn is None or scikit_learn.get_config().get("transform_output") == "default"
    return is_default and not getattr(part, "_sklearn_output_config", None)


def _has_original_methods(kind: type, fingerprint: tuple[int, ...]) -> bool:
    return _check_methods(kind, fingerprint)


@lru_cache(maxsize=256)
def _check_methods(kind: type, fingerprint: tuple[int, ...]) -> bool:
    """Return True if every function of the class and its bases was defined in a library's own module."""
    return all(
        _root(cls.__module__) in LIBRARIES | _NEUTRAL
        and all(_is_own(function.__module__) for function in _functions(cls))
        for cls in kind.__mro__
    )


def _fingerprint(kind: type) -> tuple[int, ...]:
    """Return the identities of the class's functions, which change when one is replaced."""
    return tuple(id(function) for cls in kind.__mro__ for function in _functions(cls))


def _functions(cls: type) -> Iterator[FunctionType]:
    if cls is object:
        return
    for value in vars(cls).values():
        function = getattr(value, "fn", None) or getattr(value, "fget", None) or getattr(value, "__func__", None)
        candidate = function or value
        if isinstance(candidate, FunctionType):
            yield candidate


def _is_own(module: str | None) -> bool:
    return module is None or _root(module) in LIBRARIES | _NEUTRAL


def _root(module: str) -> str:
    return module.partition(".")[0]
