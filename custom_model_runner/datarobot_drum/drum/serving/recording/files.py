"""The files of the request log: their names, and which of them are deleted.

Each worker writes files of its own. The name ``requests.jsonl`` gets the time of the start and the process id:
``requests-20260131T120000.000000Z-4711-0a1b2c3d.jsonl``. A file that is being written is locked, so none deletes it.
"""

import fcntl
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from secrets import token_hex

TEMPORARY = ".tmp"
"""Added to the name of a file that cannot be read before it is complete."""

FILE_MODE = 0o640
FOLDER_MODE = 0o750
MIN_AGE_SECONDS = 60.0
"""A younger temporary file may belong to a worker that has not locked it yet."""

logger = logging.getLogger(__name__)


class RecordFiles:
    """The files of one request log, which several workers write.

    Args:
        path: from which the names are made.
        max_files: complete files, and files being written, that are kept.
        ending: added to the name while a file is being written.
    """

    def __init__(self, path: Path, max_files: int, ending: str = "") -> None:
        self._folder = path.parent
        self._prefix, self._suffix = f"{path.stem}-", path.suffix
        self._ending = ending
        self._max_files = max_files
        stamp = r"\d{8}T\d{6}\.\d{6}Z-\d+-[0-9a-f]{8}"
        self._name = re.compile(re.escape(self._prefix) + stamp + re.escape(self._suffix))

    def prepare(self) -> None:
        """Create the folder.

        Raises:
            OSError: no file can be created there.
        """
        self._folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{self._folder} cannot be written to")

    def create(self) -> tuple[int, Path]:
        """Return the descriptor and the path of a new file, which is locked; delete what is too much.

        Raises:
            OSError: it cannot be created.
        """
        self.prepare()
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        name = f"{self._prefix}{stamp}-{os.getpid()}-{token_hex(4)}{self._suffix}{self._ending}"
        path = self._folder / name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, FILE_MODE)
        with suppress(OSError):  # a file system without locks: no file is deleted then
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.delete_old()
        return descriptor, path

    def complete(self, path: Path) -> Path:
        """Give a temporary file its final name.

        Raises:
            OSError: it cannot be renamed.
        """
        final = path.with_name(path.name.removesuffix(self._ending))
        path.rename(final)
        self.delete_old()
        return final

    def delete_old(self) -> None:
        """Delete the oldest files beyond the maximum, and temporary files of workers that were killed."""
        with suppress(OSError):
            names = sorted(os.listdir(self._folder))
            complete = [name for name in names if self._name.fullmatch(name)]
            excess = len(complete) - self._max_files
            for name in complete:
                if excess <= 0:
                    break
                excess -= _delete_unlocked(self._folder / name)
            for name in names:
                if name.endswith(TEMPORARY) and self._name.fullmatch(name.removesuffix(TEMPORARY)):
                    _delete_unlocked(self._folder / name, MIN_AGE_SECONDS)


def _delete_unlocked(path: Path, min_age: float = 0.0) -> bool:
    """Delete a file that no worker writes; return False if it stays."""
    with suppress(OSError), _locked(path) as descriptor:
        if time.time() - os.fstat(descriptor).st_mtime >= min_age:
            path.unlink()
            return True
    return False


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Lock a file that no worker writes.

    Raises:
        OSError: a worker writes it, or it is gone.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)
