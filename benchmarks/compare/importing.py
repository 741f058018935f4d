"""How long interpreters take to import: what every server pays before its first line runs."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks.compare.running import on_cores

BASELINE = "import pandas, sklearn"
STATEMENTS = {
    "python": "pass",
    BASELINE: BASELINE,
    "import datarobot_drum": "import datarobot_drum",
    "drum's command line": "import datarobot_drum.drum.main",
}


def measure_imports(cores: Sequence[int]) -> Iterator[tuple[str, dict[str, float]]]:
    """Wall clock and processor time of each statement in an interpreter of its own."""
    for name, statement in STATEMENTS.items():
        cpu = _children()
        begin = time.perf_counter()
        with on_cores(cores):
            subprocess.run([sys.executable, "-c", statement], check=True)
        yield name, {"seconds": time.perf_counter() - begin, "cpu_seconds": _children() - cpu}


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system
