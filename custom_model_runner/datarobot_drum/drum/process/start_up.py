"""What makes a start quicker."""

import gc

ALLOCATIONS = 100_000
"""Objects made between two looks for cycles, instead of Python's 700 or 2,000."""

_usual = gc.get_threshold()


def collect_rarely() -> None:
    """Look for cycles of garbage a hundred times less often, until ``collect_as_usual``.

    Imports and models make hundreds of thousands of objects that stay: to look through them again and again is a tenth
    of the time that a worker takes to be ready.
    """
    gc.set_threshold(ALLOCATIONS, *_usual[1:])


def collect_as_usual() -> None:
    """Everything is loaded."""
    gc.set_threshold(*_usual)
