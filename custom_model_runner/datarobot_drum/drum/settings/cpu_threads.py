"""How many cores this process may use, and how numeric libraries share them among the workers.

BLAS and OpenMP start a thread a core of the machine, whatever a container's limit is, and every worker does so again:
more threads than cores make everything slower, by far. They read their variables when they are loaded, so the plan
has to stand before that.
"""

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from datarobot_drum.drum.settings.cgroups import MEMBERSHIP, MOUNT, CgroupFolder, cgroup_folders

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


@dataclass(frozen=True)
class ThreadPlan:
    """``cores`` that may be used, and ``numeric_threads`` that BLAS, OpenMP and their like get in each worker.

    ``variables`` are to be set for that; those that were set already are not among them.
    """

    cpus: float
    numeric_threads: int
    variables: Mapping[str, str]


def plan_threads(
    environ: Mapping[str, str], workers: int, numeric_threads: int = 0, cpus: float | None = None
) -> ThreadPlan:
    """Share the cores among the workers.

    Args:
        environ: where a variable that is set was meant so.
        numeric_threads: of each worker, if it is not to be found out.
        cpus: that may be used, if it is not to be found out.
    """
    available = cpus or available_cpus()
    threads = numeric_threads or max(1, math.floor(available / workers))
    # Without a variable of their own the others follow OpenMP's, and whoever has set that one relies on it.
    wanted = environ.get("OMP_NUM_THREADS") or str(threads)
    return ThreadPlan(available, threads, {name: wanted for name in THREAD_VARIABLES if not environ.get(name)})


def available_cpus(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> float:
    """The cores of the machine that this process may run on, or the share of them that its control group allows."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = (_quota(folder) for folder in cgroup_folders("cpu", mount, membership))
    return min([float(own), *(quota for quota in quotas if quota is not None)])


def _quota(folder: CgroupFolder) -> float | None:
    """Cores by the processor time of a period; None without a limit."""
    with suppress(OSError, ValueError):  # not there, or "max"
        if folder.version == 2:
            quota, period = map(int, (folder.path / "cpu.max").read_text().split())
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            quota, period = (int((folder.path / name).read_text()) for name in names)
        return quota / period if quota > 0 and period > 0 else None
    return None
