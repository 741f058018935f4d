"""The file in the model folder that extends the app: ``custom_flask.py`` or ``custom_fastapi.py``.

Its ``init_app(app)`` may add routes, middleware and authentication. So whatever keeps an extension from taking effect
fails the start: the other framework's file, a misspelt name, an ``init_app`` that never runs.
"""

import importlib.util
import inspect
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import ChecksumError, ExtensionError, ModelLoadError
from datarobot_drum.drum.language_predictors.checksums import check_folder
from datarobot_drum.drum.language_predictors.hook_errors import load_errors

FILES = {"flask": "custom_flask.py", "fastapi": "custom_fastapi.py"}
"""The extension's file by framework."""

SERVERS = {"flask": "flask or gunicorn", "fastapi": "fastapi"}
MIN_SIMILARITY = 0.8
"""Of a file name to the right one, by letters alone, if the file has an ``init_app``."""

MIN_SIMILARITY_WITHOUT_INIT_APP = 0.88

_SKIPPED = (".", "__pycache__", "site-packages", "node_modules")

logger = logging.getLogger(__name__)


def extend_app(app: Any, code_dir: Path, framework: str) -> bool:
    """Call ``init_app(app)`` of the framework's extension file; return False if the model folder has none.

    Raises:
        ExtensionError: see ``find_extension``; or there is no ``init_app``, it cannot take effect, or it raises.
    """
    file = find_extension(code_dir, framework)
    if file is None:
        return False
    name = str(file.relative_to(code_dir))
    with _importable(file.parent, code_dir), extension_errors(f"{name} failed", code_dir):
        _call_init_app(_find_init_app(file), app, name)
    return True


@contextmanager
def extension_errors(what_failed: str, code_dir: Path) -> Iterator[None]:
    """Raise every error of an extension as an ``ExtensionError`` of one paragraph.

    Adapters put it around what an extension runs after ``init_app``, too: constructors of middleware, a lifespan.
    """
    try:
        with load_errors(what_failed, code_dir):
            yield
    except ModelLoadError as error:
        if isinstance(error.__cause__, ExtensionError):
            raise error.__cause__ from None
        raise ExtensionError(str(error)) from error


def reject_changed_extension(code_dir: Path) -> None:
    """Reject the extension of a model folder that differs from ``model.sha256``.

    Raises:
        ExtensionError: there is an extension, and a checksum does not match.
    """
    try:
        check_folder(code_dir)
    except ChecksumError as error:
        if any(_find(code_dir, name) for name in FILES.values()):
            raise ExtensionError(f"The extension is not loaded. {error}") from error


def find_extension(code_dir: Path, framework: str) -> Path | None:
    """Find the framework's extension file, at the top level or below.

    Raises:
        ExtensionError: there are several, only the other framework's, or one whose name is almost right.
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
    _reject_misspelt(code_dir)
    return None


def _find(code_dir: Path, name: str) -> list[Path]:
    return [path for path in _walk(code_dir) if path.name == name and not path.is_dir()]


def _walk(code_dir: Path) -> Iterator[Path]:
    """Yield the files and subfolders of the model folder that may hold code."""
    for folder, subfolders, names in os.walk(code_dir):
        subfolders[:] = sorted(sub for sub in subfolders if not sub.startswith(_SKIPPED))
        yield from (Path(folder) / name for name in (*names, *subfolders))


def _reject_misspelt(code_dir: Path) -> None:
    """Fail the start for a file that would be an extension under its right name; warn if it has no ``init_app``."""
    for path in _walk(code_dir):
        if path.suffix.lower() not in ("", ".py", ".pyc"):
            continue
        similarity, right_name = max((_similarity(path.stem, name), name) for name in FILES.values())
        shown = path.relative_to(code_dir)
        if similarity >= MIN_SIMILARITY and _mentions_init_app(path):
            raise ExtensionError(
                f"{shown} defines init_app but is not loaded: an extension must be the file {right_name}. Rename it, "
                "or remove init_app; serving without it could leave out authentication."
            )
        if similarity >= MIN_SIMILARITY_WITHOUT_INIT_APP:
            logger.warning("%s is not loaded: an extension must be the file %s.", shown, right_name)


def _similarity(stem: str, right_name: str) -> float:
    """Compare two file names by their letters; 1 also for letters in another order."""
    letters, right = (re.sub("[^a-z]", "", text.lower().removesuffix(".py")) for text in (stem, right_name))
    if sorted(letters) == sorted(right):
        return 1.0
    return SequenceMatcher(None, letters, right).ratio()


def _mentions_init_app(path: Path) -> bool:
    source = path / "__init__.py" if path.is_dir() else path
    return source.is_file() and b"init_app" in source.read_bytes()


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


def _call_init_app(init_app: Callable[[Any], object], app: Any, name: str) -> None:
    returned = init_app(app)
    if inspect.iscoroutine(returned):
        returned.close()  # else Python warns that it never ran
        raise ExtensionError(
            f"init_app of {name} is asynchronous, and nothing awaits it: write `def init_app(app)`, and await what "
            "must be awaited in the app's lifespan."
        )
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        raise ExtensionError(f"init_app of {name} is a generator, so nothing in it runs: remove its `yield`.")
    if returned is not None and returned is not app:
        raise ExtensionError(
            f"init_app of {name} returned {type(returned).__name__}, which is not used: extend the app that it is "
            "given, for example with app.add_middleware or app.wsgi_app, and return None."
        )


@contextmanager
def _importable(*folders: Path) -> Iterator[None]:
    """Let the extension import its neighbours; later on, the loaded model keeps its folder importable."""
    added = [str(folder) for folder in dict.fromkeys(folders)]
    sys.path[:0] = added
    try:
        yield
    finally:
        for folder in added:
            sys.path.remove(folder)
