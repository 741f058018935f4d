"""Goodput of a server at four times its capacity, compared with that without overload."""

from collections.abc import Iterator
from typing import Any

from benchmarks.compare.environments import MeasurementError
from benchmarks.compare.server_process import Cores, on_cores
from benchmarks.load_generator import RETRY_AFTER, Plan
from benchmarks.overload import IDEAL, QUEUE, THREADS, measure

TIMES = 4
NORMAL_CLIENTS = 2 * THREADS
"""The number of clients without overload: none is rejected."""

OVERLOAD_CLIENTS = THREADS + QUEUE + int((TIMES - 1) * IDEAL * RETRY_AFTER)
"""The number of clients at overload: those in the server and its queue, and those that retry every ``RETRY_AFTER``
seconds, so that all together send ``TIMES`` the requests of the capacity.
"""


def measure_overload(cores: Cores, seconds: float) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the figures of our FastAPI server; raises MeasurementError if it fails under the load."""

    def measure_level(clients: int, warm: float) -> dict[str, Any]:
        plan = Plan(clients, seconds, warm)
        return measure("sleeping", plan, {}, on_cores(cores.server))

    try:
        normal, overload = measure_level(NORMAL_CLIENTS, 2.0), measure_level(OVERLOAD_CLIENTS, max(2.0, seconds / 2))
    except AssertionError as error:
        raise MeasurementError(f"the server failed: {str(error).partition(chr(10))[0]}") from error
    yield "drum-fastapi", _figures(normal, overload, seconds)


def _figures(normal: dict[str, Any], overload: dict[str, Any], seconds: float) -> dict[str, float]:
    responses = overload["responses"]
    known = ("200", "503 as documented")
    first, last = overload["rss_mib"]
    return {
        "goodput_percent": 100 * overload["goodput_percent"] / normal["goodput_percent"],
        "offered": sum(responses.values()) / (IDEAL * seconds),
        **{f"{path[1:]}_p99_ms": probe["p99"] for path, probe in overload["probes_ms"].items()},
        "other_responses": sum(count for kind, count in responses.items() if kind not in known),
        "growth_mib": last - first,
    }
