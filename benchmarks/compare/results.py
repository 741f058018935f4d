"""The results of runs: their content, how further runs are added, and their file."""

import json
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Results:
    """The results of one or more runs. Every report is written from its JSON form.

    Attributes:
        machine: on which all runs were made.
        runs: of each its date, its rounds (first and last), pace, cores, and what was measured.
        versions: packages of each environment.
        measurements: a dictionary for each figure set: ``round``, ``server``, ``workload`` and ``values``.
        left_out: why a server, or ``SERVER: WORKLOAD``, has no figures.
        stages: microseconds of the steps of one small prediction, each alone.
    """

    machine: dict[str, Any]
    runs: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    measurements: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def last_round(self) -> int:
        return max((measurement["round"] for measurement in self.measurements), default=0)

    def add_run(self, run: dict[str, Any]) -> None:
        """Add a further run. Its rounds get new numbers, because ratios are taken within a round."""
        self.runs.append(run)

    def add(self, number: int, server: str, workload: str, values: dict[str, float]) -> None:
        self.measurements.append({"round": number, "server": server, "workload": workload, "values": values})
        self.left_out.pop(server, None)
        self.left_out.pop(f"{server}: {workload}", None)

    def drop(self, workloads: Collection[str], servers: Collection[str] | None) -> None:
        """Remove the figures of these workloads, of these servers or of all."""
        self.measurements = [
            found
            for found in self.measurements
            if found["workload"] not in workloads or (servers is not None and found["server"] not in servers)
        ]

    def save(self, path: Path) -> None:
        write_atomically(path, json.dumps(asdict(self), indent=1) + "\n")


def read_results(path: Path) -> Results:
    """Read results; raises OSError, ValueError or TypeError for an invalid file."""
    return Results(**json.loads(path.read_text()))


def write_atomically(path: Path, text: str) -> None:
    """Write the text so that ``path`` is never incomplete."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)
