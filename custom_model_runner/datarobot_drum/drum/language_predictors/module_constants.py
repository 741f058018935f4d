"""Constants at the top level of ``custom.py``, read without running the file."""

import ast
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import ModelLoadError

THREAD_SAFE = "THREAD_SAFE"
"""``THREAD_SAFE = False`` limits the model to one call at a time."""

MAX_CONCURRENCY = "MAX_CONCURRENCY"
"""``MAX_CONCURRENCY = 2`` limits each process to two concurrent calls."""

MAX_BATCH_SIZE, BATCH_WAIT_MS = "MAX_BATCH_SIZE", "BATCH_WAIT_MS"


def is_thread_safe(file: Path) -> bool:
    """Return True unless ``THREAD_SAFE`` is false.

    Raises:
        ModelLoadError: the constant is no literal.
    """
    found = _find_assignment(file, THREAD_SAFE)
    return found is None or bool(_literal_value(*found, file, THREAD_SAFE, "True or False"))


def defines_any(file: Path, names: Collection[str]) -> bool:
    """Return True if the file defines or imports one of the names at its top level."""
    return any(name in names for statement in _statements(file) for name in _defined_names(statement))


def _defined_names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return [statement.name]
    if isinstance(statement, ast.ImportFrom):
        return [alias.asname or alias.name for alias in statement.names]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def read_max_concurrency(file: Path) -> int | None:
    """Return ``MAX_CONCURRENCY``; None without it.

    Raises:
        ModelLoadError: the constant is no integer of at least 1.
    """
    found = _find_assignment(file, MAX_CONCURRENCY)
    if found is None:
        return None
    expected = "a whole number of at least 1"
    value = _literal_value(*found, file, MAX_CONCURRENCY, expected)
    if type(value) is not int or value < 1:
        raise _constant_error(found[0], file, MAX_CONCURRENCY, expected)
    return value


def read_batch_settings(file: Path) -> tuple[int, float]:
    """Return ``MAX_BATCH_SIZE`` in rows and ``BATCH_WAIT_MS``, each 0 without the constant.

    Existing models may use these names for themselves: a value that is no number is ignored.
    """
    return int(_number(file, MAX_BATCH_SIZE)), _number(file, BATCH_WAIT_MS)


def _number(file: Path, name: str) -> float:
    found = _find_assignment(file, name)
    value = found[1].value if found is not None and isinstance(found[1], ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return max(0.0, float(value))


def _find_assignment(file: Path, name: str) -> tuple[int, ast.expr] | None:
    """Return line and value of the last assignment to ``name``."""
    found = [
        (statement.lineno, value)
        for statement in _statements(file)
        if (value := _assigned(statement, name)) is not None
    ]
    return found[-1] if found else None


def _statements(file: Path) -> list[ast.stmt]:
    """Return the statements at the top level; none of a file that cannot be parsed, which fails at its import."""
    try:
        return ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return []


def _assigned(statement: ast.stmt, name: str) -> ast.expr | None:
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return None
    return statement.value if any(isinstance(target, ast.Name) and target.id == name for target in targets) else None


def _literal_value(line: int, value: ast.expr, file: Path, name: str, expected: str) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError:
        raise _constant_error(line, file, name, expected) from None


def _constant_error(line: int, file: Path, name: str, expected: str) -> ModelLoadError:
    return ModelLoadError(
        f"{file.name}, line {line}: {name} must be {expected}, written out: it is read before {file.name} runs."
    )
