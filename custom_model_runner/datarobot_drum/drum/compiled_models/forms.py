"""What a compiler makes: a function from samples to the output of the original, and the parts to prove separately."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Step = Callable[[Any], Any]
"""A function of samples (an array, a DataFrame or a CSR matrix) that returns what the original returns for them."""


class NotCoveredError(Exception):
    """Raised by a compiled form for samples that only the original predicts, such as those that it rejects."""


class Stopped(Exception):
    """Raised in the background thread when the worker stops."""


class CannotCompileError(Exception):
    """Raised by a compiler for a model that it does not support; the message is the reason."""


class MissingExtraError(CannotCompileError):
    """Raised for a model that could be compiled if an extra were installed."""


@dataclass(frozen=True, eq=False)
class Part:
    """A compiled step that is proven on rows of its own, besides the proof of the whole model.

    Args:
        original: the same step of the original.
        rows: return the rows around the decisions of the step: the thresholds of its splits.
    """

    name: str
    original: Step
    compiled: Step
    rows: Callable[[], Iterator[np.ndarray]]


@dataclass(frozen=True, eq=False)
class CompiledForm:
    """A compiled prediction.

    Args:
        compilers: the names of the compilers that made its steps.
        predict: from samples to the output of the original; raises ``NotCoveredError`` where only that predicts.
        parts: steps to prove separately.
        nbytes: the memory of the compiled steps, as far as it is known.
        takes_dense: True if dense rows predict the same as the sparse rows that precede the form.
    """

    compilers: tuple[str, ...]
    predict: Step
    parts: tuple[Part, ...] = ()
    nbytes: int = 0
    takes_dense: bool = False

    @property
    def by(self) -> str:
        return " and ".join(dict.fromkeys(self.compilers))
