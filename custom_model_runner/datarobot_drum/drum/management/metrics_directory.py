"""The directory in which prometheus-client keeps the metrics of model code, a file for each process and type.

The library chooses files when it is imported, by a variable of the environment. So the owner of the server sets the
variable before any worker starts. A lock on the directory tells one in use from one that a killed server has left.
"""

import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from datarobot_drum.drum.settings.environment import export_metrics_directory, metrics_directory

PREFIX = "drum-metrics-"
MIN_FREE_BYTES = 16 * 1024 * 1024
"""With less space the library could not extend a file, and writing to it would kill the process (SIGBUS)."""
MIN_AGE_SECONDS = 60.0
"""A younger directory may belong to a server that has not locked it yet."""

MEMORY = Path("/dev/shm")
"""Preferred to the system's temporary folder: it needs no disk, and a read-only container has it."""

UNAVAILABLE = (
    "The metrics of model code are off: no folder for their files (%s). Those of the server itself are served."
)

logger = logging.getLogger(__name__)


class MetricsDirectory:
    """Owns the directory, from the start of a server to its end. A directory that the environment names is kept."""

    def __init__(self) -> None:
        self.path: str | None = None
        self._lock: int | None = None
        self._owner = 0

    def create(self) -> None:
        """Make the directory and set the variable; on a failure log why, and leave the library without files."""
        given = metrics_directory()
        if given is not None and not Path(given).name.startswith(PREFIX):
            self.path = given
            return
        export_metrics_directory(None)  # that of a process which this one has replaced, or which started it
        folders = [folder for folder in (MEMORY, Path(tempfile.gettempdir())) if folder.is_dir()]
        for folder in folders:
            _remove_stale(folder)
        errors = [error for folder in folders if self.path is None and (error := self._try(folder))]
        if self.path is None:
            logger.warning(UNAVAILABLE, errors[-1] if errors else "no temporary folder")

    def _try(self, folder: Path) -> OSError | None:
        try:
            self._create_in(folder)
        except OSError as error:
            return error
        return None

    def _create_in(self, folder: Path) -> None:
        _require_space(folder)
        path = tempfile.mkdtemp(prefix=PREFIX, dir=folder)
        try:
            self._lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_SH)  # forked workers inherit it
        except OSError:
            self.close_lock()
            shutil.rmtree(path, ignore_errors=True)
            raise
        self.path, self._owner = path, os.getpid()
        export_metrics_directory(path)

    def close_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def close(self) -> None:
        """Remove the directory, unless the environment named it or this is a fork of its owner."""
        if self._lock is not None and self.path is not None and self._owner == os.getpid():
            shutil.rmtree(self.path, ignore_errors=True)
            export_metrics_directory(None)
        self.close_lock()
        self.path = None


def hold_directory() -> None:
    """Lock the directory for the life of this process, a worker that is no fork; a server that starts leaves it."""
    path = metrics_directory()
    if path is not None:
        with suppress(OSError):
            fcntl.flock(os.open(path, os.O_RDONLY | os.O_DIRECTORY), fcntl.LOCK_SH)


def _require_space(folder: Path) -> None:
    free = os.statvfs(folder)
    if free.f_bavail * free.f_frsize < MIN_FREE_BYTES:
        raise OSError(f"{folder} has less than {MIN_FREE_BYTES // 1024**2} MB of free space")


def _remove_stale(folder: Path) -> None:
    """Remove the directories of this user that no process holds: their server was killed."""
    with suppress(OSError):
        for path in folder.glob(f"{PREFIX}*"):
            with suppress(OSError), _locked_if_free(path) as is_free:
                if is_free:
                    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _locked_if_free(path: Path) -> Iterator[bool]:
    """Yield whether a directory is old enough, of this user and held by no process, which then cannot take it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        is_free = status.st_uid == os.getuid() and time.time() - status.st_mtime > MIN_AGE_SECONDS
        if is_free:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield is_free
    finally:
        os.close(descriptor)
