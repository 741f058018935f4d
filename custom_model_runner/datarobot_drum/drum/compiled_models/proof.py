"""Prove on samples that a compiled form predicts the same as the original, and rejects the same samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from datarobot_drum.drum.compiled_models.comparison import is_equal, largest_difference
from datarobot_drum.drum.compiled_models.forms import CompiledForm, Part, Step
from datarobot_drum.drum.compiled_models.probe_samples import ProbeSamples

_MAX_DIFFERING = 20
_SINGLE_ROWS, _SINGLE_BLOCKS = 3, 10
"""Rows of a block, and blocks, that are also compared one row at a time."""


@dataclass
class Proof:
    """The result of the comparisons.

    ``rows`` counts the rows that were predicted both ways, ``rejected`` the samples that the original rejects.
    """

    exact: bool
    rows: int = 0
    rejected: int = 0
    uncovered: int = 0
    differing: int = 0
    largest: float = 0.0
    reason: str = ""

    @property
    def is_proven(self) -> bool:
        return not self.differing and self.rows > 0

    @property
    def check(self) -> str:
        """The text of the check for ``/info/``."""
        return f"{'bit-equal' if self.exact else 'equal to 1e-9'} on {self.rows:,} rows"

    def compare(self, original: Step, compiled: Step, samples: Any) -> None:
        """Predict the samples both ways; each way gets a copy."""
        try:
            with np.errstate(all="ignore"):
                expected = original(_copy(samples))
        except Exception:  # any error of the model: the compiled form must leave these samples to it
            expected = None
        try:
            with np.errstate(all="ignore"):
                found = compiled(_copy(samples))
        except Exception:  # the original predicts instead
            self.uncovered += 1
            self.rejected += expected is None
            return
        if expected is None:
            self._differ(float("inf"), "it predicts samples that the model rejects")
        elif not is_equal(expected, found, exact=self.exact):
            self._differ(largest_difference(expected, found), "it predicts other values")
        else:
            self.rows += int(samples.shape[0])

    def _differ(self, difference: float, reason: str) -> None:
        self.differing += 1
        if difference >= self.largest:
            self.largest, self.reason = difference, reason


def prove(
    original: Step,
    form: CompiledForm,
    samples: ProbeSamples,
    pause: Callable[[float], None],
    *,
    exact: bool,
    with_parts: bool = True,
) -> Proof:
    """Compare the form with the original on all samples, and each of its parts on the rows around its decisions.

    Args:
        with_parts: False repeats only the comparison on all samples.
        pause: called after each comparison with the seconds that it took; may raise ``Stopped``.
    """
    proof = Proof(exact)
    for step, compiled, data in _comparisons(original, form, samples, with_parts):
        start = time.monotonic()
        proof.compare(step, compiled, data)
        if proof.differing >= _MAX_DIFFERING:
            break
        pause(time.monotonic() - start)
    return proof


def _comparisons(
    original: Step, form: CompiledForm, samples: ProbeSamples, with_parts: bool
) -> Iterator[tuple[Step, Step, Any]]:
    for data in samples.special():
        yield original, form.predict, data
    for data in samples.batches():
        yield original, form.predict, data
    for part in form.parts if with_parts else ():
        yield from _part_comparisons(part)


def _part_comparisons(part: Part) -> Iterator[tuple[Step, Step, Any]]:
    generator = np.random.default_rng(0)
    for number, block in enumerate(part.rows()):
        yield part.original, part.compiled, block
        for row in range(min(_SINGLE_ROWS if number < _SINGLE_BLOCKS else 0, len(block))):
            yield part.original, part.compiled, block[row : row + 1]
        yield part.original, part.compiled, _with_missing(block[:100], generator)


def _with_missing(block: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return np.where(generator.random(block.shape) < 0.1, np.nan, block)


def _copy(samples: Any) -> Any:
    """Return a copy in the same memory layout, on which the last bits of matrix products depend."""
    return samples.copy(order="K") if type(samples) is np.ndarray else samples.copy()
