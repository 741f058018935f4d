"""The state of a model that code of its owner may change, such as a hook that gets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from datarobot_drum.drum.compiled_models.original_classes import is_original

_COUNTS = {"xgboost": "num_boosted_rounds", "lightgbm": "num_trees"}
"""The method of a native model that changes when it is trained further."""


class ModelState:
    """A record of a model: attributes by identity, the numbers of arrays by value.

    The trees of an ensemble are not looked into: training it again replaces them.
    """

    def __init__(self, model: Any) -> None:
        self._checks = [check for part in _parts(model, set()) for check in _checks(part)]

    def is_unchanged(self) -> bool:
        """Return True if the model has the attributes that it had."""
        return all(check() for check in self._checks)


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield the estimators of a model, and the native models in them."""
    if isinstance(value, list | tuple):
        if len(value) and not (_is_tree(value[0]) or isinstance(value[0], list)):
            for item in value:
                yield from _parts(item, seen)
    elif id(value) not in seen and is_original(value):
        seen.add(id(value))
        yield value
        for inner in list(vars(value).values()):
            yield from _parts(inner, seen)


def _is_tree(value: Any) -> bool:
    return hasattr(value, "tree_")


def _checks(part: Any) -> Iterator[Callable[[], bool]]:
    attributes = vars(part)
    values = list(attributes.values())  # keeps them, so that their identities are not used again
    yield lambda: len(attributes) == len(values) and all(map(_is_same, attributes.values(), values))
    for value in values:
        if isinstance(value, np.ndarray):
            yield _array_check(value)
        elif isinstance(value, list | tuple):
            yield _list_check(value)
    count = _COUNTS.get(type(part).__module__.partition(".")[0])
    if count is not None and type(part).__name__ == "Booster":
        trained = getattr(part, count)()
        yield lambda: bool(getattr(part, count)() == trained)


def _is_same(value: Any, other: Any) -> bool:
    return value is other


def _array_check(array: np.ndarray) -> Callable[[], bool]:
    content = array.tobytes()
    return lambda: array.tobytes() == content


def _list_check(items: Any) -> Callable[[], bool]:
    saved = list(items)
    return lambda: len(items) == len(saved) and all(map(_is_same, items, saved))
