"""How ``pandas.read_csv`` is told to read numbers to the last bit."""

from typing import Any

import pandas as pd

_PANDAS_RELEASE = tuple(int(part) for part in pd.__version__.split(".")[:2])
EXACT_FLOATS: dict[str, Any] = {} if _PANDAS_RELEASE >= (3, 1) else {"float_precision": "round_trip"}
"""Options of ``pandas.read_csv``: what has been its default since pandas 3.1."""
