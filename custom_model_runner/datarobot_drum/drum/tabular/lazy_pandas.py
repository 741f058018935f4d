"""pandas, imported on first use: the import takes longer than the rest of a small server's start.

Models that read no tables never import it. Other models import it before threads predict (``import_pandas``): during an
import, libraries that look for pandas in ``sys.modules`` would find a partial module.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["import_pandas", "pd"]


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


def import_pandas() -> None:
    """Import pandas now; call it before threads predict."""
    import_module("pandas")
