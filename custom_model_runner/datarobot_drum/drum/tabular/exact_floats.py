"""Options that make ``pandas.read_csv`` read numbers exactly."""

from importlib.metadata import version
from typing import Any

_PANDAS_RELEASE = tuple(int(part) for part in version("pandas").split(".")[:2])
EXACT_FLOATS: dict[str, Any] = {} if _PANDAS_RELEASE >= (3, 1) else {"float_precision": "round_trip"}
"""Options of ``pandas.read_csv``; the default since pandas 3.1."""
