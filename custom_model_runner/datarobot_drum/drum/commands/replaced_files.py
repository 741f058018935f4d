"""Files that a command replaces: they keep their permissions, and the input is never one of them."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from datarobot_drum.drum.exceptions import UsageError


def keep_permissions(new: Path, replaced: Path) -> None:
    """Give the new file the mode, and if possible the owner, of the file that it is about to replace."""
    with suppress(FileNotFoundError):
        former = replaced.stat()
        with suppress(PermissionError):
            os.chown(new, former.st_uid, former.st_gid)
        new.chmod(stat.S_IMODE(former.st_mode))


def require_other_file(flag: str, path: Path, source: Path) -> None:
    """Reject an output that would replace the input, under whatever name.

    Raises:
        UsageError: both are the same file.
    """
    if path.is_file() and source.exists() and path.samefile(source):
        raise UsageError(f"{flag} {path} is the file of --input: name another one.")
