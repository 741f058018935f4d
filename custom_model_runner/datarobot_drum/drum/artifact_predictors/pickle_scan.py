"""Reject pickles with dangerous imports before they are loaded. Needs the extra ``scan``.

Dangerous is what ``picklescan`` lists, and any name of the standard library that is not known to hold data only.
"""

from __future__ import annotations

import io
import logging
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from datarobot_drum.drum.artifact_predictors.compression import open_decompressed
from datarobot_drum.drum.artifact_predictors.pickle_trace import ARRAY_WRAPPER, imported_names
from datarobot_drum.drum.exceptions import ModelLoadError

try:
    from picklescan.scanner import SafetyLevel, scan_pickle_bytes
except ModuleNotFoundError as missing:
    raise ModelLoadError(
        f"DRUM_PICKLE_POLICY=scan needs the module {missing.name}: install datarobot-drum[scan]."
    ) from missing

_FREE_BYTES = 1 << 26
_MAX_RATIO = 1000
"""A file may expand to this many times its size, and to 64 MiB in any case."""

_DATA_NAMES = {
    "_codecs": {"encode"},
    "builtins": set(
        "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple type "
        "NotImplemented Ellipsis".split()
    ),
    "copyreg": {"_reconstructor", "__newobj__", "__newobj_ex__"},
    "re": {"_compile", "compile"},
    "random": {"Random"},
    "types": {"SimpleNamespace", "MappingProxyType", "NoneType"},
}
_DATA_MODULES = frozenset(
    "collections datetime decimal enum fractions ipaddress math numbers pathlib statistics string time typing "
    "zoneinfo".split()
)
"""Modules of the standard library whose names create data, or compute."""

_UNPICKLERS = frozenset({"cloudpickle", "dill", "jsonpickle", "numpy.f2py", "pandas.io.pickle", "joblib.numpy_pickle"})
_UNPICKLING_NAMES = frozenset({"load", "loads", "read_pickle", "eval", "query", "loadtxt", "genfromtxt", "memmap"})
"""Names of libraries that unpickle, evaluate or read other files."""

_OWN_LIBRARIES = frozenset({"numpy", "pandas", "joblib", "scipy", "sklearn", "torch", "skops", "keras"})
_FOUND_LOGGER = "picklescan"
"""It logs each finding, which the error names, too."""


def scan_pickle(path: Path) -> None:
    """Scan a pickle, compressed or not.

    Raises:
        ModelLoadError: it has a dangerous import, or cannot be read to its end.
    """
    limit = _FREE_BYTES + _MAX_RATIO * path.stat().st_size
    try:
        with open_decompressed(path) as file:
            _reject_dangerous(path, imported_names(file, limit))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def scan_archive(path: Path) -> None:
    """Scan every pickle in an archive of PyTorch; raises as ``scan_pickle``."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.filename.endswith(".pkl"):
                    with archive.open(member) as file:
                        _reject_dangerous(path, imported_names(cast(BinaryIO, file), member.file_size))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ModelLoadError:
    reason = " ".join(str(error).split()).rstrip(".")
    return ModelLoadError(
        f"{path.name} is not loaded, since DRUM_PICKLE_POLICY=scan cannot scan it ({reason}): save the model again."
    )


def _reject_dangerous(path: Path, names: Iterable[tuple[str, str]]) -> None:
    dangerous = list(dict.fromkeys(f"{module}.{name}" for module, name in names if _is_dangerous(module, name)))
    if dangerous:
        raise ModelLoadError(
            f"{path.name} is not loaded, since it imports {', '.join(dangerous[:10])}, which DRUM_PICKLE_POLICY=scan "
            "rejects: such a file may run any code. Save the model without it, or set the policy to allow if you trust "
            "the file."
        )


def _is_dangerous(module: str, name: str) -> bool:
    if (module, name) == ARRAY_WRAPPER:
        return False
    return any(_is_unsafe_name(*pair) for pair in _readings(module, name))


def _readings(module: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the pair, and for a dotted name each pair that it may reach: a module may import another one."""
    yield module, name
    *parents, last = name.split(".")
    for start in range(len(parents)):
        yield ".".join(parents[start:]), last


def _is_unsafe_name(module: str, name: str) -> bool:
    if not f"{module}{name}".isprintable():
        return True
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names:
        return not (root in _DATA_MODULES or name in _DATA_NAMES.get(module, ()))
    if any(module == unsafe or module.startswith(f"{unsafe}.") for unsafe in _UNPICKLERS):
        return True
    if root in _OWN_LIBRARIES and name in _UNPICKLING_NAMES:
        return True
    return _is_listed(module, name)


def _is_listed(module: str, name: str) -> bool:
    """Return True if ``picklescan`` calls an import dangerous."""
    logging.getLogger(_FOUND_LOGGER).setLevel(logging.CRITICAL)
    reference = io.BytesIO(f"c{module}\n{name}\n.".encode())
    found = scan_pickle_bytes(reference, "", multiple_pickles=False)
    return found.scan_err or any(entry.safety is SafetyLevel.Dangerous for entry in found.globals)
