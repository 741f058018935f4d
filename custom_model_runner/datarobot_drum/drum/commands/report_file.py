"""The files of ``--report`` and ``--save``."""

import os
from pathlib import Path

from datarobot_drum.drum.commands.replaced_files import keep_permissions, require_other_file
from datarobot_drum.drum.exceptions import CommandError, UsageError
from datarobot_drum.drum.settings.arguments import Arguments


def report_path(arguments: Arguments, flag: str = "--report") -> Path | None:
    """Return the path of ``--report`` or ``--save``, checked before the work starts; None without one.

    Raises:
        UsageError: the path is a folder or the input, or its folder does not exist.
    """
    name = arguments.save if flag == "--save" else arguments.report
    if not name:
        return None
    path = Path(name).absolute()
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{flag} {name} must name a file in a folder that exists.")
    if arguments.input:
        require_other_file(flag, path, Path(arguments.input))
    return path


def write_report(path: Path, page: str, flag: str = "--report") -> None:
    """Write the page atomically.

    Raises:
        CommandError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(page, encoding="utf-8")
        keep_permissions(temporary, path)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CommandError(f"{flag} {path} cannot be written: {error.strerror}.") from error
