"""Descriptors, threads, temporary files and memory of a process, from the kernel."""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

MIB = 1024 * 1024


@dataclass(frozen=True)
class ResourceUsage:
    """Usage at one moment. ``temporary`` are open files that are deleted or lie in the spool folder."""

    descriptors: int
    threads: int
    temporary: tuple[str, ...]


def resource_usage(pid: int, spool: Path) -> ResourceUsage:
    """Return the usage of one process whose temporary files go to ``spool``."""
    targets = _open_files(pid)
    temporary = [target for target in targets if _is_temporary(target) or target.startswith(f"{spool}/")]
    threads = len(os.listdir(f"/proc/{pid}/task"))
    return ResourceUsage(len(targets), threads, (*temporary, *os.listdir(spool)))


def _open_files(pid: int) -> list[str]:
    folder = f"/proc/{pid}/fd"
    targets = [_target(f"{folder}/{name}") for name in os.listdir(folder)]
    return [target for target in targets if target]


def _is_temporary(target: str) -> bool:
    """Return whether an open file has no name, shared memory excluded."""
    return target.endswith(" (deleted)") and not target.startswith("/memfd:")


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:  # closed since it was listed
        return ""


def resident_memory(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    return int(psutil.Process(pid).memory_info().rss)


def worker_processes(pid: int) -> dict[int, psutil.Process]:
    """Return the worker processes of a supervisor by id, without the helper of multiprocessing."""
    children = psutil.Process(pid).children()
    return {child.pid: child for child in children if not _is_resource_tracker(child)}


def _is_resource_tracker(process: psutil.Process) -> bool:
    try:
        return "resource_tracker" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return True
