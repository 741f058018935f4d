"""Find and import ``custom.py``."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.hook_errors import load_errors
from datarobot_drum.drum.language_predictors.import_scope import CUSTOM_MODULE

FILE_NAME = "custom.py"
_SKIPPED_FOLDERS = (".", "__pycache__", "site-packages", "node_modules")


def find_custom_file(code_dir: Path) -> Path | None:
    """Return ``custom.py`` at the top level, else the least nested one, outside hidden folders and installed packages.

    Raises:
        ModelLoadError: several are equally nested.
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


def import_custom_file(file: Path, code_dir: Path) -> ModuleType:
    """Import the file as module ``custom``, which is also a package, so ``from . import helper`` works.

    Raises:
        ModelLoadError: the import failed; the message names file and line.
    """
    spec = importlib.util.spec_from_file_location(CUSTOM_MODULE, file, submodule_search_locations=[str(file.parent)])
    if spec is None or spec.loader is None:
        raise ModelLoadError(f"{file.name} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[CUSTOM_MODULE] = module
    with load_errors(f"{file.relative_to(code_dir)} cannot be imported", code_dir):
        spec.loader.exec_module(module)
    return module
