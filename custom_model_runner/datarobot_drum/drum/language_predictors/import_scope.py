"""Model folders on ``sys.path``, and their modules in ``sys.modules``, one folder at a time.

A process has one model, as a rule. Tests and embedding programs have several, whose ``custom`` and helper modules
share their names; so the model that was opened last owns the names, and closing it gives them back to the one before.
Functions keep the modules that they were made with. Only an import that a hook of an older model makes later, while
predicting, meets the newer model's folder.
"""

import importlib
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

CUSTOM_MODULE = "custom"

_open_scopes: list["ImportScope"] = []
_lock = threading.Lock()


class ImportScope:
    """Makes the modules in some folders importable, ahead of all others, between ``open`` and ``close``."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = [str(folder) for folder in dict.fromkeys(folders)]
        self._foreign: frozenset[str] = frozenset()
        self._modules: dict[str, ModuleType] = {}
        self._displaced: dict[str, ModuleType] = {}

    def open(self) -> None:
        with _lock:
            for scope in _open_scopes:
                scope._withdraw()
            self._foreign = frozenset(sys.modules.copy()) - {CUSTOM_MODULE}
            _open_scopes.append(self)
            self._install()

    def close(self) -> None:
        """Leave no trace; closing twice is allowed."""
        with _lock:
            if self not in _open_scopes:
                return
            self._withdraw()
            self._modules.clear()
            _open_scopes.remove(self)
            if _open_scopes:
                _open_scopes[-1]._install()

    def _install(self) -> None:
        importlib.invalidate_caches()
        sys.path[:0] = self._folders
        if CUSTOM_MODULE in sys.modules:
            self._displaced[CUSTOM_MODULE] = sys.modules.pop(CUSTOM_MODULE)
        sys.modules.update(self._modules)

    def _withdraw(self) -> None:
        """Take the scope's modules and folders away, if they are there, and keep the modules."""
        if not all(folder in sys.path for folder in self._folders):
            return
        own = {name: module for name, module in sys.modules.copy().items() if self._owns(name)}
        for name in own:
            del sys.modules[name]
        for folder in self._folders:
            sys.path.remove(folder)
        self._modules = own
        sys.modules.update(self._displaced)
        self._displaced.clear()

    def _owns(self, name: str) -> bool:
        """Whether a module came from the folders, which may well hold a virtual environment further down."""
        root = name.partition(".")[0]
        if root == CUSTOM_MODULE:
            return True
        return root not in self._foreign and _home(sys.modules.get(root)) in self._folders


def _home(module: ModuleType | None) -> str | None:
    """The folder in which a top-level module or package lies."""
    paths = list(getattr(module, "__path__", None) or [])
    location = paths[0] if paths else getattr(module, "__file__", None)
    return str(Path(location).parent) if location else None
