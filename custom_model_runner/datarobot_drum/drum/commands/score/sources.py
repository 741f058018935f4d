"""The files of ``--input``: one, those of a folder, those that match a pattern, or those of another file system."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from datarobot_drum.drum.commands.input_file import InputFile, input_path, opened_input
from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.settings.arguments import Arguments

_PATTERN = frozenset("*?[")
_HIDDEN = (".", "_")
"""Names that begin so are no data: temporary files, and the end markers of this and other tools."""


def has_many_files(arguments: Arguments) -> bool:
    """Return True if the input is a folder, a pattern or a URL."""
    given = arguments.input or ""
    is_pattern = bool(_PATTERN & set(given)) and not Path(given).exists()
    return "://" in given or is_pattern or bool(given and Path(given).is_dir())


def find_sources(arguments: Arguments) -> tuple[str, ...]:
    """Return the paths or URLs of the input files: that of a file, else the sorted ones of a folder or pattern.

    Raises:
        UsageError: there is no such file, or fsspec does not read the URL.
    """
    given = arguments.input or ""
    if "://" in given:
        return _require_files(_remote_files(given), given)
    if Path(given).is_dir():
        return _require_files(_visible(Path(given).absolute().rglob("*"), Path(given).absolute()), given)
    if has_many_files(arguments):
        found = glob.glob(str(Path(given).absolute()), recursive=True)
        return _require_files([path for path in found if Path(path).is_file()], given)
    return (str(input_path(arguments)),)


@contextmanager
def opened_source(source: str) -> Iterator[InputFile]:
    """Open a file of the input.

    Raises:
        UsageError: it cannot be read.
    """
    if "://" not in source:
        with opened_input(Path(source)) as opened:
            yield opened
        return
    try:
        opened_file = _fsspec("open", source)(source, "rb").open()
    except Exception as error:  # file systems raise errors of all kinds
        raise UsageError(f"--input {source} cannot be read: {error}.") from error
    with opened_file as file:
        yield InputFile(Path(PurePosixPath(source.partition("://")[2])), file)


def describe_source(source: str) -> list[Any]:
    """Return the name and the state of a file: another state means other content."""
    if "://" in source:
        info = _fsspec("core:url_to_fs", source)(source)[0].info(source)
        return [source, info.get("size"), str(info.get("ETag") or info.get("mtime") or "")]
    state = Path(source).stat()
    return [source, state.st_size, state.st_mtime_ns]


def _require_files(paths: list[str], given: str) -> tuple[str, ...]:
    if not paths:
        raise UsageError(f"--input {given} names no file.")
    return tuple(sorted(paths))


def _visible(paths: Iterator[Path], folder: Path) -> list[str]:
    def is_visible(path: Path) -> bool:
        return not any(name.startswith(_HIDDEN) for name in path.relative_to(folder).parts)

    return [str(path) for path in paths if is_visible(path) and path.is_file()]


def _remote_files(url: str) -> list[str]:
    find = _fsspec("core:url_to_fs", url)
    try:
        system, path = find(url)
        if _PATTERN & set(path):
            found = [name for name in system.glob(path) if system.isfile(name)]
        else:
            found = [path] if system.isfile(path) else _visible_remote(system.find(path), path)
        return [str(system.unstrip_protocol(name)) for name in found]
    except Exception as error:  # file systems raise errors of all kinds
        raise UsageError(f"--input {url} cannot be read: {error}.") from error


def _visible_remote(names: list[str], folder: str) -> list[str]:
    inner = ((name, name.removeprefix(folder).strip("/").split("/")) for name in names)
    return [name for name, parts in inner if not any(part.startswith(_HIDDEN) for part in parts)]


def _fsspec(name: str, url: str) -> Any:
    module, _, function = f"fsspec:{name}".rpartition(":")
    try:
        return import_from_string(f"{module.replace(':', '.')}:{function}")
    except ModuleNotFoundError as error:
        raise UsageError(f"--input {url}: only fsspec reads URLs: install datarobot-drum[ray], or fsspec.") from error
