"""Measurements as rows of text, for the terminal and the report."""

import math
from collections.abc import Callable

from datarobot_drum.drum.commands.perf_test.load import Measurement

MIB = 1024 * 1024

Column = tuple[str, Callable[[Measurement], str]]


def milliseconds(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds * 1000:.2f}"


COLUMNS: tuple[Column, ...] = (
    ("rows", lambda m: str(m.level.rows)),
    ("clients", lambda m: str(m.level.clients)),
    ("requests", lambda m: str(m.requests)),
    ("requests/s", lambda m: f"{m.requests_per_second:.1f}"),
    ("rows/s", lambda m: f"{m.rows_per_second:.0f}"),
    ("spread", lambda m: "{:.0f}-{:.0f}".format(*m.spread)),
    ("min ms", lambda m: milliseconds(m.percentile(0.0))),
    ("avg ms", lambda m: milliseconds(m.mean)),
    ("p50 ms", lambda m: milliseconds(m.percentile(0.5))),
    ("p95 ms", lambda m: milliseconds(m.percentile(0.95))),
    ("p99 ms", lambda m: milliseconds(m.percentile(0.99))),
    ("max ms", lambda m: milliseconds(m.percentile(1.0))),
    ("errors", lambda m: str(m.errors)),
    ("server RSS MB", lambda m: f"{m.memory / MIB:.1f}"),
)


def cells_of(measurement: Measurement) -> list[str]:
    """Return the texts of a row."""
    return [text(measurement) for _, text in COLUMNS]
