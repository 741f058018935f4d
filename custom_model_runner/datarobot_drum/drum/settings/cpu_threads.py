"""The CPUs of this process, and the threads that numeric libraries may start in each worker.

BLAS and OpenMP start a thread per core of the machine, in every worker, whatever a container's limit is. More threads
than cores make all of them slower. The libraries read their environment variables at import, so the plan must be
exported before.
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
    """The available ``cpus``, and the ``numeric_threads`` of BLAS and OpenMP in each worker.

    ``variables`` must be set for that; those already set are not included.
    """

    cpus: float
    numeric_threads: int
    variables: Mapping[str, str]


def plan_threads(
    environ: Mapping[str, str], workers: int, numeric_threads: int = 0, cpus: float | None = None
) -> ThreadPlan:
    """Divide the CPUs among the workers.

    Args:
        environ: variables that are already set are kept.
        numeric_threads: of each worker; 0 computes them.
        cpus: available CPUs; None detects them.
    """
    available = cpus or available_cpus()
    threads = numeric_threads or max(1, math.floor(available / workers))
    # OMP_NUM_THREADS also applies to the libraries that have a variable of their own.
    wanted = environ.get("OMP_NUM_THREADS") or str(threads)
    return ThreadPlan(available, threads, {name: wanted for name in THREAD_VARIABLES if not environ.get(name)})


def available_cpus(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> float:
    """Return the CPUs that this process may use, limited by its affinity and its control group."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = (_quota(folder) for folder in cgroup_folders("cpu", mount, membership))
    return min([float(own), *(quota for quota in quotas if quota is not None)])


def _quota(folder: CgroupFolder) -> float | None:
    """Return CPU time divided by period; None without a limit."""
    with suppress(OSError, ValueError):  # missing, or "max"
        if folder.version == 2:
            quota, period = map(int, (folder.path / "cpu.max").read_text().split())
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            quota, period = (int((folder.path / name).read_text()) for name in names)
        return quota / period if quota > 0 and period > 0 else None
    return None
