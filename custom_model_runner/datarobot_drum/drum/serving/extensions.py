"""The file in the model folder that extends the app: ``custom_flask.py`` or ``custom_fastapi.py``.

Its ``init_app(app)`` may add routes, middleware and authentication. So a folder that has only the other
framework's file must not be served: leaving the file out could silently leave authentication out.
"""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import ExtensionError, ModelLoadError
from datarobot_drum.drum.language_predictors.hook_errors import load_errors

FILES = {"flask": "custom_flask.py", "fastapi": "custom_fastapi.py"}
"""The extension's file by framework."""

SERVERS = {"flask": "flask or gunicorn", "fastapi": "fastapi"}
_SKIPPED = (".", "__pycache__", "site-packages", "node_modules")


def extend_app(app: Any, code_dir: Path, framework: str) -> bool:
    """Call ``init_app(app)`` of the framework's extension file, if the model folder has one; whether it has.

    Raises:
        ExtensionError: several files, no ``init_app``, one that raises, or only the other framework's file.
    """
    file = find_extension(code_dir, framework)
    if file is None:
        return False
    try:
        with _importable(file.parent, code_dir), load_errors(f"{file.relative_to(code_dir)} failed", code_dir):
            _find_init_app(file)(app)
    except ModelLoadError as error:
        raise ExtensionError(str(error)) from error
    return True


def find_extension(code_dir: Path, framework: str) -> Path | None:
    """The framework's extension file, at the top level or below.

    Raises:
        ExtensionError: several, or only the other framework's.
    """
    found = {name: _find(code_dir, file) for name, file in FILES.items()}
    if len(found[framework]) > 1:
        names = ", ".join(str(path.relative_to(code_dir)) for path in found[framework])
        raise ExtensionError(f"The model folder holds several {FILES[framework]} ({names}): keep one.")
    if found[framework]:
        return found[framework][0]
    others = [name for name, files in found.items() if files]
    if others:
        raise ExtensionError(
            f"The model folder has {FILES[others[0]]}, which only DRUM_SERVER_TYPE {SERVERS[others[0]]} loads: choose "
            f"that, or add {FILES[framework]}; serving without it could leave out authentication."
        )
    return None


def _find(code_dir: Path, name: str) -> list[Path]:
    files = []
    for folder, subfolders, names in os.walk(code_dir):
        subfolders[:] = sorted(sub for sub in subfolders if not sub.startswith(_SKIPPED))
        if name in names:
            files.append(Path(folder) / name)
    return files


def _find_init_app(file: Path) -> Callable[[Any], object]:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    init_app = getattr(module, "init_app", None)
    if not callable(init_app):
        raise ExtensionError(f"{file.name} has no function init_app(app).")
    found: Callable[[Any], object] = init_app
    return found


@contextmanager
def _importable(*folders: Path) -> Iterator[None]:
    """The extension may import its neighbours; later on, the loaded model keeps its folder importable."""
    added = [str(folder) for folder in dict.fromkeys(folders)]
    sys.path[:0] = added
    try:
        yield
    finally:
        for folder in added:
            sys.path.remove(folder)
