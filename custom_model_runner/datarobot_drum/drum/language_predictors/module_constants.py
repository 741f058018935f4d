"""What ``custom.py`` says of itself in constants at its top level. They are read without running the file."""

import ast
import math
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import ModelLoadError

THREAD_SAFE = "THREAD_SAFE"
"""``THREAD_SAFE = False`` asks for one call at a time."""

MAX_CONCURRENCY = "MAX_CONCURRENCY"
"""``MAX_CONCURRENCY = 2`` asks for two calls at a time at most, in each process."""


MAX_BATCH_SIZE, BATCH_WAIT_MS = "MAX_BATCH_SIZE", "BATCH_WAIT_MS"


def is_thread_safe(file: Path) -> bool:
    """Whether ``custom.py`` may be called from several threads; it may unless it says otherwise.

    Raises:
        ModelLoadError: the constant is no plain value.
    """
    found = _find(file, THREAD_SAFE)
    return found is None or bool(_plain_value(*found, file, THREAD_SAFE, "True or False"))


def read_max_concurrency(file: Path) -> int | None:
    """How many calls ``custom.py`` takes at once; None if it does not say.

    Raises:
        ModelLoadError: the constant is no whole number of at least 1.
    """
    found = _find(file, MAX_CONCURRENCY)
    if found is None:
        return None
    wanted = "a whole number of at least 1"
    value = _plain_value(*found, file, MAX_CONCURRENCY, wanted)
    if type(value) is not int or value < 1:
        raise _refusal(found[0], file, MAX_CONCURRENCY, wanted)
    return value


def read_batch_settings(file: Path) -> tuple[int, float]:
    """``MAX_BATCH_SIZE`` in rows and ``BATCH_WAIT_MS``: batches that ``custom.py`` asks for, 0 where it does not.

    These names have been anybody's: a value that is no number is not meant for the server.
    """
    return int(_number(file, MAX_BATCH_SIZE)), _number(file, BATCH_WAIT_MS)


def _number(file: Path, name: str) -> float:
    found = _find(file, name)
    value = found[1].value if found is not None and isinstance(found[1], ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return max(0.0, float(value))


def _find(file: Path, name: str) -> tuple[int, ast.expr] | None:
    """The line and the value of the last assignment to ``name``; a file that cannot be parsed will tell on import."""
    try:
        statements = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return None
    found = [(statement.lineno, value) for statement in statements if (value := _assigned(statement, name)) is not None]
    return found[-1] if found else None


def _assigned(statement: ast.stmt, name: str) -> ast.expr | None:
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return None
    return statement.value if any(isinstance(target, ast.Name) and target.id == name for target in targets) else None


def _plain_value(line: int, value: ast.expr, file: Path, name: str, wanted: str) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError:
        raise _refusal(line, file, name, wanted) from None


def _refusal(line: int, file: Path, name: str, wanted: str) -> ModelLoadError:
    return ModelLoadError(
        f"{file.name}, line {line}: {name} must be {wanted}, written out: it is read before {file.name} runs."
    )
