"""Detection of threads, connections, devices and children that a fork of this process would lose or share.

A fork copies the memory and one thread. A lock that another thread held stays locked. A thread pool is gone though its
library relies on it (GNU OpenMP then waits forever). Connections and file positions are shared.
"""

import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

THREAD_EXIT_SECONDS = 0.5
"""Time for ending threads to exit."""

_FORK_SECONDS = 5.0
_PAUSE_SECONDS = 0.01
_TASKS = Path("/proc/self/task")
_DESCRIPTORS = Path("/proc/self/fd")
_MAPS = Path("/proc/self/maps")
_FORK_SAFE_THREADS = frozenset({"jemalloc_bg_thd"})
"""Native threads by name that restart in a forked process: the allocator thread of pyarrow."""
_FORK_SAFE_FILES = frozenset({"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"})
_OPENMP = ("libgomp", "libomp", "libiomp")


@dataclass(frozen=True)
class ProcessSnapshot:
    """The descriptors and child processes of this process before it loads a model."""

    descriptors: frozenset[int]
    children: frozenset[int]

    @classmethod
    def now(cls) -> "ProcessSnapshot":
        """Take a snapshot of the current state."""
        return cls(frozenset(_descriptors()), frozenset(_children()))


def can_inspect_threads() -> bool:
    """Return True if the system lists the threads of a process, as Linux does."""
    return _TASKS.is_dir()


def fork_blockers(before: ProcessSnapshot) -> list[str]:
    """Describe what has been added since the snapshot and prevents a fork; empty if a fork is safe.

    May fork once itself: libraries that support forks, such as OpenBLAS, end their threads before one.
    """
    if _other_threads():
        _wait_for_thread_exit()
        if not _python_threads():
            _fork_once()
    return [*_describe_threads(), *_cuda(), *_new_descriptors(before), *_new_children(before)]


def kill_new_children(before: ProcessSnapshot) -> None:
    """Kill the child processes that were started since the snapshot."""
    for child in _children() - before.children:
        with suppress(OSError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _python_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread is not threading.main_thread()]


def _other_threads() -> dict[int, str]:
    """Return the names of all other threads by id, except fork-safe ones."""
    names = {}
    for task in _TASKS.iterdir():
        with suppress(OSError):  # the thread has exited
            names[int(task.name)] = (task / "comm").read_text(encoding="utf-8", errors="replace").strip()
    names.pop(threading.get_native_id(), None)
    return {number: name for number, name in names.items() if name not in _FORK_SAFE_THREADS}


def _wait_for_thread_exit() -> None:
    deadline = time.monotonic() + THREAD_EXIT_SECONDS
    while _other_threads() and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)


def _fork_once() -> None:
    """Fork a child that exits at once; kill it after a timeout."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of the threads that end here
        child = os.fork()
    if child == 0:
        os._exit(os.EX_OK)
    deadline = time.monotonic() + _FORK_SECONDS
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        time.sleep(_PAUSE_SECONDS)


def _describe_threads() -> Iterator[str]:
    """Describe the Python threads; only without any, the native ones."""
    if python := _python_threads():
        yield _count(len(python), "Python thread", [thread.name for thread in python])
    elif native := _other_threads():
        runtime = _openmp()
        hint = f", perhaps of {runtime}: with OMP_NUM_THREADS=1 it starts none" if runtime else ""
        yield _count(len(native), "native thread", native.values()) + hint


def _openmp() -> str:
    """Return the file name of a loaded OpenMP runtime; "" without one."""
    with suppress(OSError):
        for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
            name = os.path.basename(line.rpartition(" ")[2])
            if name.startswith(_OPENMP):
                return name
    return ""


def _cuda() -> Iterator[str]:
    """Check CUDA only if model code has imported torch."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is not None and cuda.is_initialized():
        yield "CUDA, which torch has initialised"


def _new_descriptors(before: ProcessSnapshot) -> Iterator[str]:
    for descriptor, target in sorted(_descriptors().items()):
        if descriptor not in before.descriptors and target not in _FORK_SAFE_FILES and not _is_appended_to(descriptor):
            yield _name(descriptor, target)


def _descriptors() -> dict[int, str]:
    found = {}
    with suppress(OSError):
        for link in _DESCRIPTORS.iterdir():
            with suppress(OSError):  # the listing's own descriptor is closed by now
                found[int(link.name)] = os.readlink(link)
    return found


def _is_appended_to(descriptor: int) -> bool:
    """Return True for a file opened for appending, such as a log: processes may share it."""
    import fcntl

    with suppress(OSError):
        return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND)
    return False


def _name(descriptor: int, target: str) -> str:
    if target.startswith("anon_inode:[eventpoll]"):
        return "an event loop"
    if not target.startswith("socket:"):
        return f"the open file {target}"
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as copy:
        peer = copy.getpeername()
        return f"the connection to {peer[0]}:{peer[1]}" if isinstance(peer, tuple) else f"the connection to {peer!r}"
    return "a socket"


def _new_children(before: ProcessSnapshot) -> Iterator[str]:
    children = _children() - before.children
    if children:
        yield _count(len(children), "child process", map(str, children), plural="child processes")


def _children() -> set[int]:
    numbers: set[int] = set()
    for task in _TASKS.iterdir():
        with suppress(OSError):
            numbers.update(map(int, (task / "children").read_text(encoding="utf-8").split()))
    return numbers


def _count(number: int, what: str, names: Iterable[str], plural: str = "") -> str:
    return f"{number} {what if number == 1 else plural or what + 's'} ({', '.join(sorted(set(names)))})"
