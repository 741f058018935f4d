"""Description of the machine and the moment of a run."""

import os
import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, memory, kernel and Python; no host name."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "python": platform.python_version(),
    }


def describe_moment() -> dict[str, Any]:
    """Return the date and the load average."""
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return {"date": date, "load_before": round(os.getloadavg()[0], 2)}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
