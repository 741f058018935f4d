"""Memory and CPU of this server's processes, its container and the machine, for ``/stats/``.

Cheap enough for a call every second: it reads only this server's processes, and keeps their handles.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from datarobot_drum.drum.settings.arguments import mask_command_line
from datarobot_drum.drum.settings.cgroups import MEMBERSHIP, MOUNT, CgroupFolder, cgroup_folders

MIB = 1024 * 1024

PROC = Path("/proc")

_UNKNOWN: dict[str, float | None] = {"container_limit": None, "container_used": None, "container_max_used": None}
_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes"),
    2: ("memory.max", "memory.current", "memory.peak"),
}
"""Limit, use and peak, by cgroup version."""

# cgroup version 1 reports a number near 2**63 for no limit.
_NO_LIMIT = 1 << 60


class ProcessStatistics:
    """Memory and CPU of the processes of one server. CPU use needs two samples, so handles are kept."""

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}

    @cached_property
    def _psutil(self) -> Any:
        import psutil  # takes 20 ms, which would delay the start

        return psutil

    def collect(self, server_pid: int, *, with_commands: bool = True) -> dict[str, Any]:
        """Return ``drum_info`` and ``mem_info``; memory in MiB.

        Args:
            server_pid: the parent of the workers, or the only process.
            with_commands: whether ``cmdline`` holds the command lines; else it is empty.
        """
        processes = list(self._processes(server_pid))
        if not with_commands:
            processes = [{**process, "cmdline": []} for process in processes]
        machine = self._psutil.virtual_memory()
        return {
            "drum_info": processes,
            "mem_info": {
                "total": machine.total / MIB,
                "avail": machine.available / MIB,
                "free": machine.free / MIB,
                "drum_rss": sum(process["mem"] for process in processes),
                **container_memory(),
            },
        }

    def _processes(self, server_pid: int) -> Iterator[dict[str, Any]]:
        seen: dict[int, Any] = {}
        for pid in (server_pid, *self._children(server_pid)):
            with suppress(self._psutil.NoSuchProcess, self._psutil.AccessDenied):
                process = self._process(pid)
                with process.oneshot():
                    command = process.cmdline()
                    # A helper of multiprocessing, not a worker.
                    if any("resource_tracker" in word for word in command):
                        continue
                    seen[pid] = process
                    yield {
                        "pid": pid,
                        "cmdline": mask_command_line(command),
                        "mem": process.memory_info().rss / MIB,
                        "cpu_percent": process.cpu_percent(),
                    }
        self._known = seen

    def _process(self, pid: int) -> Any:
        """Return the handle of the last sample, unless another process has its id now."""
        known = self._known.get(pid)
        return known if known is not None and known.is_running() else self._psutil.Process(pid)

    def _children(self, pid: int) -> list[int]:
        try:
            return child_pids(pid)
        except OSError:  # the kernel has no such file, or a thread has just ended
            with suppress(self._psutil.NoSuchProcess):
                return [child.pid for child in self._psutil.Process(pid).children()]
            return []


def child_pids(pid: int) -> list[int]:
    """Return the children of a process from the files of its threads; psutil would read all processes.

    Raises:
        OSError: this kernel has no such files.
    """
    threads = (PROC / str(pid) / "task").iterdir()
    return sorted(int(child) for thread in threads for child in (thread / "children").read_text().split())


def container_memory(cgroup: Path = MOUNT, membership: Path = MEMBERSHIP) -> dict[str, float | None]:
    """Return limit, use and peak in MiB of the cgroup of this process; None for an unknown value.

    Of nested cgroups it is the innermost one with a limit, else the innermost one.

    Args:
        cgroup: mount point of the cgroups, version 2 or 1.
        membership: file that lists the cgroups of the process.
    """
    groups = [_read(folder) for folder in cgroup_folders("memory", cgroup, membership)]
    known = [group for group in groups if group["container_used"] is not None]
    limited = [group for group in known if group["container_limit"] is not None]
    return next(iter(limited or known), _UNKNOWN)


def _read(folder: CgroupFolder) -> dict[str, float | None]:
    return dict(zip(_UNKNOWN, (_number(folder.path / name) for name in _FILES[folder.version]), strict=True))


def _number(file: Path) -> float | None:
    with suppress(OSError, ValueError):  # not there, or "max"
        number = int(file.read_text())
        return number / MIB if number < _NO_LIMIT else None
    return None
