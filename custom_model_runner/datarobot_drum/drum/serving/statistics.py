"""Memory and CPU of this server's processes, of its container and of the machine (``/stats/``)."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from datarobot_drum.runtime_parameters import mask_secrets

MIB = 1024 * 1024

_CGROUP = Path("/sys/fs/cgroup")
_CONTAINER_FILES = {
    # name: (cgroup v2, cgroup v1)
    "container_limit": ("memory.max", "memory/memory.limit_in_bytes"),
    "container_used": ("memory.current", "memory/memory.usage_in_bytes"),
    "container_max_used": ("memory.peak", "memory/memory.max_usage_in_bytes"),
}
# Version 1 writes a number near 2**63 for "no limit".
_NO_LIMIT = 1 << 60


class ProcessStatistics:
    """Facts about the processes of one server; keeps their handles, since a CPU share needs two looks."""

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}

    @cached_property
    def _psutil(self) -> Any:
        import psutil  # 20 ms that a start does not need

        return psutil

    def collect(self, server_pid: int) -> dict[str, Any]:
        """``drum_info`` and ``mem_info`` (http-api.md section 4); memory in MiB.

        Args:
            server_pid: the process whose direct children are the workers, or the only process.
        """
        processes = list(self._processes(server_pid))
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
        gone = (self._psutil.NoSuchProcess, self._psutil.AccessDenied)
        seen: dict[int, Any] = {}
        for process in self._server_processes(server_pid):
            known = self._known.get(process.pid, process)
            seen[process.pid] = known
            with suppress(*gone), known.oneshot():
                yield {
                    "pid": known.pid,
                    "cmdline": [mask_secrets(word) for word in known.cmdline()],
                    "mem": known.memory_info().rss / MIB,
                    "cpu_percent": known.cpu_percent(),
                }
        self._known = seen

    def _server_processes(self, server_pid: int) -> Iterator[Any]:
        with suppress(self._psutil.NoSuchProcess):
            server = self._psutil.Process(server_pid)
            yield server
            for child in server.children():
                with suppress(self._psutil.NoSuchProcess):
                    # Of Python's own, started beside spawned workers.
                    if not any("resource_tracker" in word for word in child.cmdline()):
                        yield child


def container_memory() -> dict[str, float | None]:
    """Limit, use and peak of the container's memory in MiB; None where the control group does not say."""
    return {name: _first_number(files) for name, files in _CONTAINER_FILES.items()}


def _first_number(names: tuple[str, ...]) -> float | None:
    for name in names:
        with suppress(OSError, ValueError):
            number = int((_CGROUP / name).read_text())
            return number / MIB if number < _NO_LIMIT else None
    return None
