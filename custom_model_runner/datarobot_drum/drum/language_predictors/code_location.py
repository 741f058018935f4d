"""Find the place in the model's own code that an error comes from."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

PACKAGE_FOLDER = Path(__file__).parents[2]
"""The folder of ``datarobot_drum``."""

_INSTALLED = {"site-packages", "dist-packages"}


def hook_location(function: Any, code_dir: Path) -> str:
    """Return file and line of a hook as a prefix for a message; empty if it is not defined in the folder."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return "" if code is None else format_location([(code.co_filename, code.co_firstlineno)], code_dir)


def error_location(error: BaseException, code_dir: Path) -> str:
    """Return file and line in the model's code where the error, or else its cause, was raised."""
    if isinstance(error, SyntaxError) and error.filename:
        return format_location([(error.filename, error.lineno)], code_dir)
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    location = format_location(frames, code_dir)
    return location if location or error.__cause__ is None else error_location(error.__cause__, code_dir)


def format_location(locations: Iterable[tuple[str, int | None]], code_dir: Path) -> str:
    """Return the innermost of the locations in the folder as a prefix for a message; empty if there is none."""
    own = [(Path(file), line) for file, line in locations if Path(file).is_relative_to(code_dir)]
    if not own:
        return ""
    file, line = own[-1]
    return f"{file.relative_to(code_dir)}, line {line}: "


def function_location(error: BaseException, folders: Iterable[Path], hook: str = "") -> str:
    """Return file, line and function of the innermost frame in the model's folders as a prefix; empty without one.

    Args:
        folders: parents before their subfolders.
        hook: the hook that was called; named if the function is another one.
    """
    roots = list(folders)
    if isinstance(error, SyntaxError) and error.filename and (name := _name_below(error.filename, roots)):
        return f"{name}, line {error.lineno}: "
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if name := _name_below(frame.f_code.co_filename, roots):
            return f"{name}, line {line}, in {_function_name(frame, hook)}: "
    return ""


def _function_name(frame: FrameType, hook: str) -> str:
    function = frame.f_code.co_name
    return function if function == hook or not hook else f"{function} (hook {hook})"


def _name_below(file: str, roots: Iterable[Path]) -> str:
    """Return the path of the file relative to the outermost folder; empty for an installed package or another file."""
    path = Path(file)
    root = next((root for root in roots if path.is_relative_to(root)), None)
    if root is None or _INSTALLED.intersection(path.relative_to(root).parts):
        return ""
    return str(path.relative_to(root))


def model_traceback(error: BaseException, folders: Iterable[Path]) -> TracebackType | None:
    """Return the traceback from the first frame of model code on, else from the first one that is not of this package.

    None if the error was raised by this package itself.
    """
    roots = list(folders)
    parts = list(_parts(error.__traceback__))
    own = (part for part in parts if _name_below(part.tb_frame.f_code.co_filename, roots))
    if (start := next(own, None)) is not None or not parts or _is_ours(parts[-1]):
        return start
    return next(part for part in parts if not _is_ours(part))


def _parts(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_ours(part: TracebackType) -> bool:
    return Path(part.tb_frame.f_code.co_filename).is_relative_to(PACKAGE_FOLDER)
