"""A run as a JSON file: written by ``--save``, read by ``--compare``."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datarobot_drum.drum.commands.perf_test.load import LoadLevel, Measurement
from datarobot_drum.drum.commands.report_facts import Fact, model_facts, run_facts
from datarobot_drum.drum.commands.report_file import write_report
from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.build import Settings

FORMAT_VERSION = 1
_FORMAT = "drum perf-test"


@dataclass(frozen=True)
class Result:
    """The figures of a load level of a saved run; latencies in seconds."""

    rows_per_second: float
    spread: tuple[float, float]
    p95: float
    errors: int


@dataclass(frozen=True)
class SavedRun:
    """A run of another time: its facts by name, and a result for each load level."""

    name: str
    facts: dict[str, str]
    results: dict[LoadLevel, Result]


def facts_of(settings: Settings, input_name: str, duration: int) -> tuple[Fact, ...]:
    """Return what a run depends on."""
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    return (
        *model_facts(settings.model),
        ("server", f"{settings.server.server_type}, {workers}"),
        ("input", input_name),
        ("duration", f"{duration} s a measurement"),
        ("machine", f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}"),
        *run_facts(),
    )


def result_of(measurement: Measurement) -> Result:
    """Return the figures of a measurement."""
    p95 = measurement.percentile(0.95)
    return Result(measurement.rows_per_second, measurement.spread, p95, measurement.errors)


def save_run(path: Path, facts: Sequence[Fact], measurements: Sequence[Measurement]) -> None:
    """Write the run.

    Raises:
        CommandError: the file cannot be written.
    """
    levels = [
        {"rows": one.level.rows, "clients": one.level.clients, "requests": one.requests, "memory": one.memory}
        | {"rows_per_second": one.rows_per_second, "spread": one.spread, "p95": _number(one.percentile(0.95))}
        | {"mean": _number(one.mean), "errors": one.errors}
        for one in measurements
    ]
    document = {"format": _FORMAT, "version": FORMAT_VERSION, "facts": dict(facts), "measurements": levels}
    write_report(path, json.dumps(document, indent=2) + "\n", "--save")


def _number(value: float) -> float | None:
    return None if value != value else value


def read_run(text: str) -> SavedRun:
    """Read the file of ``--compare``.

    Raises:
        UsageError: it cannot be read, or is not a saved run.
    """
    try:
        document = json.loads(Path(text).read_text(encoding="utf-8"))
        if document["format"] != _FORMAT or document["version"] != FORMAT_VERSION:
            raise ValueError
        facts = {str(name): str(value) for name, value in document["facts"].items()}
        results = dict(map(_read_level, document["measurements"]))
    except OSError as error:
        raise UsageError(f"--compare {text} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"--compare {text} is not a run that --save has written.") from error
    return SavedRun(Path(text).name, facts, results)


def _read_level(entry: dict[str, Any]) -> tuple[LoadLevel, Result]:
    low, high = map(float, entry["spread"])
    p95 = float("nan") if entry["p95"] is None else float(entry["p95"])
    result = Result(float(entry["rows_per_second"]), (low, high), p95, int(entry["errors"]))
    return LoadLevel(int(entry["rows"]), int(entry["clients"])), result
