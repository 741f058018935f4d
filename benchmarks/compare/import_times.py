"""Import times of interpreters: the part of the start that every server has."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks.compare.server_process import on_cores

BASELINE = "import pandas, sklearn"
STATEMENTS = {
    "python": "pass",
    BASELINE: BASELINE,
    "import datarobot_drum": "import datarobot_drum",
    "drum's command line": "import datarobot_drum.drum.main",
}


def measure_imports(cores: Sequence[int]) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield wall clock and CPU time of each statement in a new interpreter."""
    for name, statement in STATEMENTS.items():
        cpu = _children()
        start = time.perf_counter()
        with on_cores(cores):
            subprocess.run([sys.executable, "-c", statement], check=True)
        yield name, {"seconds": time.perf_counter() - start, "cpu_seconds": _children() - cpu}


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system
