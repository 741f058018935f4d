"""Finding and importing ``custom.py``."""

import ast
import importlib.util
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.hook_errors import load_errors
from datarobot_drum.drum.language_predictors.import_scope import CUSTOM_MODULE

FILE_NAME = "custom.py"
_SKIPPED_FOLDERS = (".", "__pycache__", "site-packages", "node_modules")


def find_custom_file(code_dir: Path) -> Path | None:
    """``custom.py`` at the top level, else the one nearest to it. Hidden folders and installed packages do not count.

    Raises:
        ModelLoadError: several are equally near.
    """
    if (code_dir / FILE_NAME).is_file():
        return code_dir / FILE_NAME
    nearest: list[Path] = []
    for folder, subfolders, files in os.walk(code_dir):
        path = Path(folder)
        depth = len(path.relative_to(code_dir).parts)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(_SKIPPED_FOLDERS))
        if FILE_NAME in files and (not nearest or depth <= _depth(nearest[0], code_dir)):
            nearest = [found for found in nearest if _depth(found, code_dir) == depth] + [path / FILE_NAME]
    if len(nearest) > 1:
        names = ", ".join(str(path.relative_to(code_dir)) for path in nearest)
        raise ModelLoadError(f"The model folder holds several custom.py ({names}): keep one, or put one at the top.")
    return nearest[0] if nearest else None


def _depth(file: Path, code_dir: Path) -> int:
    return len(file.parent.relative_to(code_dir).parts)


@dataclass(frozen=True)
class CustomConstants:
    """What ``custom.py`` says of itself by constants at its top level.

    ``THREAD_SAFE = False`` asks for one call at a time; ``MAX_BATCH_SIZE`` and ``BATCH_WAIT_MS`` for batches, where no
    runtime parameter decides.
    """

    thread_safe: bool = True
    max_batch_size: int = 0
    batch_wait_ms: float = 0.0


def read_constants(file: Path) -> CustomConstants:
    """The constants of ``custom.py``, read without running it; what is of a wrong type is not meant for us."""
    values = _assigned_constants(file)
    return CustomConstants(
        bool(values.get("THREAD_SAFE", True)),
        int(_number(values.get("MAX_BATCH_SIZE"))),
        _number(values.get("BATCH_WAIT_MS")),
    )


def _assigned_constants(file: Path) -> dict[str, object]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}  # importing it will tell
    return {
        target.id: statement.value.value
        for statement in tree.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return max(0.0, float(value))


def import_custom_file(file: Path, code_dir: Path) -> ModuleType:
    """Import the file as module ``custom``; it is a package too, so ``from . import helper`` works.

    Raises:
        ModelLoadError: it cannot be imported; the message names file and line.
    """
    spec = importlib.util.spec_from_file_location(CUSTOM_MODULE, file, submodule_search_locations=[str(file.parent)])
    if spec is None or spec.loader is None:
        raise ModelLoadError(f"{file.name} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[CUSTOM_MODULE] = module
    with load_errors(f"{file.relative_to(code_dir)} cannot be imported", code_dir):
        spec.loader.exec_module(module)
    return module
