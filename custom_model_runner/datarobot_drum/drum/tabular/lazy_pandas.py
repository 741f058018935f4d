"""pandas, imported when something of it is first used: it takes longer than everything else of a small server.

Models that read no tables never need it. For all others it is there before the first prediction (``import_now``): while
one thread imports it, libraries that look for it among the modules would find half of it.
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
    """Import pandas, before threads predict."""
    import_module("pandas")
