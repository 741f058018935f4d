"""pandas, imported when something of it is first used: it takes longer than everything else of a small server.

A table of plain numbers goes to an estimator and back without it, so a worker is ready before it has pandas; it gets it
right afterwards (``import_now``), unless model code has brought it along.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["import_now", "pd"]


class _LazyModule:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self._name), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import pandas as pd
else:
    pd = _LazyModule("pandas")


def import_now() -> None:
    """Import pandas, so that nobody has to wait for it later."""
    import_module("pandas")
