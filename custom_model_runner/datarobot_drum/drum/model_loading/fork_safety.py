"""What of a process does not live on in a forked copy of it: threads, connections, devices, children.

A fork copies the memory and one thread. A lock that another thread held stays locked, a pool of threads is gone though
its library counts on it (GNU OpenMP then waits for ever), and a connection or a file's position is shared by all.
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
"""How long threads that are about to end get for it."""

_FORK_SECONDS = 5.0
_PAUSE_SECONDS = 0.01
_TASKS = Path("/proc/self/task")
_DESCRIPTORS = Path("/proc/self/fd")
_MAPS = Path("/proc/self/maps")
_FORK_SAFE_THREADS = frozenset({"jemalloc_bg_thd"})
"""Threads by name that a forked process starts anew itself: that of the allocator of pyarrow."""
_FORK_SAFE_FILES = frozenset({"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"})
_OPENMP = ("libgomp", "libomp", "libiomp")


@dataclass(frozen=True)
class ProcessSnapshot:
    """What a process had before it loaded a model: descriptors and child processes."""

    descriptors: frozenset[int]
    children: frozenset[int]

    @classmethod
    def now(cls) -> "ProcessSnapshot":
        return cls(frozenset(_descriptors()), frozenset(_children()))


def can_inspect_threads() -> bool:
    """Whether this system tells what a process holds: Linux does."""
    return _TASKS.is_dir()


def fork_blockers(before: ProcessSnapshot) -> list[str]:
    """What has come since then and keeps this process from being forked, in words; nothing if it may be.

    May fork once itself: libraries that know how to be forked, such as OpenBLAS, end their threads before it.
    """
    if _other_threads():
        _wait_for_thread_exit()
        if not _python_threads():
            _fork_once()
    return [*_describe_threads(), *_cuda(), *_new_descriptors(before), *_new_children(before)]


def kill_new_children(before: ProcessSnapshot) -> None:
    """Kill the child processes that have come since then."""
    for child in _children() - before.children:
        with suppress(OSError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _python_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread is not threading.main_thread()]


def _other_threads() -> dict[int, str]:
    """By id: the names of all threads but this one, and but those that a fork does no harm to."""
    names = {}
    for task in _TASKS.iterdir():
        with suppress(OSError):  # it has just ended
            names[int(task.name)] = (task / "comm").read_text(encoding="utf-8", errors="replace").strip()
    names.pop(threading.get_native_id(), None)
    return {number: name for number, name in names.items() if name not in _FORK_SAFE_THREADS}


def _wait_for_thread_exit() -> None:
    deadline = time.monotonic() + THREAD_EXIT_SECONDS
    while _other_threads() and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)


def _fork_once() -> None:
    """Fork a child that ends at once, or is ended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python counts the threads that are to end here
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
    """Python's own, which are reason enough; only without any has been found out which others stay."""
    if python := _python_threads():
        yield _count(len(python), "Python thread", [thread.name for thread in python])
    elif native := _other_threads():
        runtime = _openmp()
        hint = f", perhaps of {runtime}: with OMP_NUM_THREADS=1 it starts none" if runtime else ""
        yield _count(len(native), "native thread", native.values()) + hint


def _openmp() -> str:
    """The file of an OpenMP runtime that is loaded."""
    with suppress(OSError):
        for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
            name = os.path.basename(line.rpartition(" ")[2])
            if name.startswith(_OPENMP):
                return name
    return ""


def _cuda() -> Iterator[str]:
    """Only where somebody has loaded torch: to ask is no reason to."""
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
            with suppress(OSError):  # the one that lists the folder is closed by now
                found[int(link.name)] = os.readlink(link)
    return found


def _is_appended_to(descriptor: int) -> bool:
    """A log file, say: processes may well write to it side by side."""
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
