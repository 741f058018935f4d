"""A server that is asked for four times what it can do, held against what it does when it is merely busy."""

from collections.abc import Iterator
from typing import Any

from benchmarks.compare.environments import Missing
from benchmarks.compare.running import Cores, on_cores
from benchmarks.crowds import RETRY_AFTER, Plan
from benchmarks.overload import IDEAL, QUEUE, THREADS, measure

TIMES = 4
CALM = 2 * THREADS
"""Clients: so few that none is refused."""

CROWD = THREADS + QUEUE + int((TIMES - 1) * IDEAL * RETRY_AFTER)
"""Clients: those in the server and its line, and so many that come back every ``RETRY_AFTER`` seconds that all together
ask ``TIMES`` as often as the server can answer."""


def measure_overload(cores: Cores, seconds: float) -> Iterator[tuple[str, dict[str, float]]]:
    """The figures of our FastAPI server; raises Missing if it fails under the load."""

    def ask(clients: int, warm: float) -> dict[str, Any]:
        plan = Plan(clients, seconds, warm)
        return measure("sleeping", plan, {}, on_cores(cores.server))

    try:
        calm, crowd = ask(CALM, 2.0), ask(CROWD, max(2.0, seconds / 2))
    except AssertionError as error:
        raise Missing(f"the server failed: {str(error).partition(chr(10))[0]}") from error
    yield "drum-fastapi", _figures(calm, crowd, seconds)


def _figures(calm: dict[str, Any], crowd: dict[str, Any], seconds: float) -> dict[str, float]:
    answers = crowd["answers"]
    known = ("200", "503 as documented")
    first, last = crowd["rss_mib"]
    return {
        "goodput_percent": 100 * crowd["goodput_percent"] / calm["goodput_percent"],
        "offered": sum(answers.values()) / (IDEAL * seconds),
        **{f"{path[1:]}_p99_ms": probe["p99"] for path, probe in crowd["probes_ms"].items()},
        "other_answers": sum(count for kind, count in answers.items() if kind not in known),
        "growth_mib": last - first,
    }
