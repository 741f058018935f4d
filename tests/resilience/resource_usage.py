"""What a process takes from the machine, as the kernel counts it."""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

MIB = 1024 * 1024


@dataclass(frozen=True)
class ResourceUsage:
    """Taken at one moment. ``temporary`` are open files that have no name (any more), or lie in the spool folder."""

    descriptors: int
    threads: int
    temporary: tuple[str, ...]


def resource_usage(pid: int, spool: Path) -> ResourceUsage:
    """The footprint of one process whose temporary files go to ``spool``."""
    targets = _open_files(pid)
    temporary = [target for target in targets if target.endswith(" (deleted)") or target.startswith(f"{spool}/")]
    threads = len(os.listdir(f"/proc/{pid}/task"))
    return ResourceUsage(len(targets), threads, (*temporary, *os.listdir(spool)))


def _open_files(pid: int) -> list[str]:
    folder = f"/proc/{pid}/fd"
    targets = [_target(f"{folder}/{name}") for name in os.listdir(folder)]
    return [target for target in targets if target]


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:  # closed since it was listed
        return ""


def resident_memory(pid: int) -> int:
    """Bytes of memory that the process has in use now."""
    return int(psutil.Process(pid).memory_info().rss)


def worker_processes(pid: int) -> dict[int, psutil.Process]:
    """The worker processes of a supervisor by their id; multiprocessing's own helper is none."""
    children = psutil.Process(pid).children()
    return {child.pid: child for child in children if not _is_resource_tracker(child)}


def _is_resource_tracker(process: psutil.Process) -> bool:
    try:
        return "resource_tracker" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return True
