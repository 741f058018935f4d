"""Model folders on ``sys.path`` and their modules in ``sys.modules``, for one model at a time.

A process usually has one model. Tests and embedding programs have several, whose ``custom`` and helper modules share
their names. The scope opened last is installed; closing it installs the one before. Functions keep the modules that
they were defined with. While several scopes are open, an ``import`` in an older model's code installs that model's
scope for its duration; ``importlib.import_module`` does not. Models that are served side by side are suspended once
they are loaded: none of them is installed, so no lookup by name finds the module of another one.
"""

import builtins
import importlib
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

CUSTOM_MODULE = "custom"

_open_scopes: list["ImportScope"] = []
_lock = threading.RLock()
_plain_import = builtins.__import__


class ImportScope:
    """Folders whose modules are importable, before all others, between ``open`` and ``close``."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = [str(folder) for folder in dict.fromkeys(folders)]
        self._preloaded: frozenset[str] = frozenset()
        self._modules: dict[str, ModuleType] = {}
        self._displaced: dict[str, ModuleType] = {}
        self._is_installed = False
        self._is_suspended = False

    def open(self) -> None:
        with _lock:
            for scope in _open_scopes:
                scope._uninstall()
            self._preloaded = frozenset(sys.modules.copy()) - {CUSTOM_MODULE}
            _open_scopes.append(self)
            self._install()
            _patch_import()

    def suspend(self) -> None:
        """Install the scope only for ``import`` statements of its own code, from now on."""
        with _lock:
            self._uninstall()
            self._is_suspended = True
            _patch_import()

    def close(self) -> None:
        """Remove the folders and their modules; closing twice is allowed."""
        with _lock:
            if self not in _open_scopes:
                return
            self._uninstall()
            self._modules.clear()
            _open_scopes.remove(self)
            last = _open_scopes[-1] if _open_scopes else None
            if last is not None and not (last._is_installed or last._is_suspended):
                last._install()
            _patch_import()

    def contains(self, file: str) -> bool:
        """Return True if the file is in the folders."""
        return any(Path(file).is_relative_to(folder) for folder in self._folders)

    @contextmanager
    def activated(self) -> Iterator[None]:
        """Install this scope within the ``with`` block; the caller holds the lock."""
        owner = next((scope for scope in _open_scopes if scope._is_installed), None)
        if owner is self or self not in _open_scopes:
            yield
            return
        if owner is not None:
            owner._uninstall()
        self._install()
        try:
            yield
        finally:
            self._uninstall()
            if owner is not None:
                owner._install()

    def find_loaded(self, name: str, fromlist: Sequence[str]) -> ModuleType | None:
        """Return what an absolute import returns without a search; None if it has to search.

        Only a suspended scope knows: with a scope installed, ``sys.modules`` may hold modules of another model.
        """
        root = name.partition(".")[0]
        if not self._is_suspended or any(scope._is_installed for scope in _open_scopes):
            return None
        modules = self._modules if root in self._modules else sys.modules
        module = modules.get(name)
        if module is None or (root == CUSTOM_MODULE and modules is sys.modules) or _is_loading(module):
            return None
        if not fromlist:
            return modules.get(root)
        return module if all(hasattr(module, attribute) for attribute in fromlist if attribute != "*") else None

    def _install(self) -> None:
        self._is_installed = True
        importlib.invalidate_caches()
        sys.path[:0] = self._folders
        if CUSTOM_MODULE in sys.modules:
            self._displaced[CUSTOM_MODULE] = sys.modules.pop(CUSTOM_MODULE)
        sys.modules.update(self._modules)

    def _uninstall(self) -> None:
        """Remove the scope's folders and modules, if installed, and keep the modules for the next install."""
        if not self._is_installed:
            return
        self._is_installed = False
        own = {name: module for name, module in sys.modules.copy().items() if self._owns(name)}
        for name in own:
            del sys.modules[name]
        for folder in self._folders:
            if folder in sys.path:  # model code may have removed it
                sys.path.remove(folder)
        self._modules = own
        sys.modules.update(self._displaced)
        self._displaced.clear()

    def _owns(self, name: str) -> bool:
        """Return True for a module from the folders, but not from a virtual environment below them."""
        root = name.partition(".")[0]
        if root == CUSTOM_MODULE:
            return True
        return root not in self._preloaded and _parent_folder(sys.modules.get(root)) in self._folders


def model_folders() -> list[Path]:
    """Return the folders with the code of the loaded models, parents before their subfolders."""
    with _lock:
        folders = {Path(folder) for scope in _open_scopes for folder in scope._folders}
    return sorted(folders, key=lambda folder: len(folder.parts))


def _patch_import() -> None:
    """Replace Python's ``__import__`` only while several scopes are open, or one is suspended."""
    is_needed = len(_open_scopes) > 1 or any(scope._is_suspended for scope in _open_scopes)
    builtins.__import__ = _import_with_own_names if is_needed else _plain_import


def _import_with_own_names(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    file = (globals or {}).get("__file__")
    scope = next((scope for scope in reversed(_open_scopes) if file and scope.contains(file)), None)
    if scope is None:
        return _plain_import(name, globals, locals, fromlist, level)
    if level == 0 and (module := scope.find_loaded(name, fromlist or ())) is not None:
        return module
    with _lock, scope.activated():
        return _plain_import(name, globals, locals, fromlist, level)


def _is_loading(module: ModuleType) -> bool:
    """Return True while another thread may still run the module's code."""
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _parent_folder(module: ModuleType | None) -> str | None:
    """Return the folder that contains a top-level module or package."""
    paths = list(getattr(module, "__path__", None) or [])
    location = paths[0] if paths else getattr(module, "__file__", None)
    return str(Path(location).parent) if location else None
