"""Library versions that model files name: a newer one than the installed library is logged, since it may be misread."""

from __future__ import annotations

import json
import logging
import mmap
import platform
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.version import InvalidVersion, Version

from datarobot_drum.drum.artifact_predictors.compression import DECOMPRESSION_ERRORS, open_content
from datarobot_drum.drum.artifact_predictors.file_detection import detect_framework, pickled_modules
from datarobot_drum.drum.artifact_predictors.mlflow_folder import library_versions as mlflow_versions
from datarobot_drum.drum.artifact_predictors.model_folders import detect_model_folder, read_json
from datarobot_drum.version import __version__

logger = logging.getLogger(__name__)

_ENDS_BYTES = 4096
_MAX_SCANNED_BYTES = 1 << 26

# Every pattern starts with literal text, which makes the search of a large file fast.
_XGBOOST_UBJSON = re.compile(rb"version\[#L\0{7}\x03([iUIlL].{5,26})", re.DOTALL)
_XGBOOST_JSON = re.compile(rb'version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]')
_LIGHTGBM = re.compile(rb"tree\r?\nversion=v(\d+)")
_CATBOOST_BRANCH = re.compile(rb"Branch: tags/v(\d+(?:\.\d+)+)")
_CATBOOST_SUMMARY = re.compile(rb"Summary: CatBoost release (\d+(?:\.\d+)+)")
_SKLEARN = re.compile(rb"_sklearn_version(?:\x94|q.|r.{4})?(?:\x8c(.)|X(.)\0\0\0)", re.DOTALL)
"""The key of the version in a pickle, its optional memo, and the length of the version text that follows."""

_SKLEARN_TEXT = re.compile(rb"_sklearn_version\np\d+\nV(.+)\n")
"""The same in protocol 0."""

VARIANTS = {"xgboost": ("xgboost-cpu",), "onnxruntime": ("onnxruntime-gpu",)}
"""Further packages that install the same library."""

_VERSION_KEYS = {
    "transformers": ("config.json", "transformers_version", "transformers"),
    "sentence-transformers": ("config_sentence_transformers.json", "__version__", "sentence_transformers"),
}
"""File, key and library of model folders that name the version of their writer."""

_FRAMEWORK_PACKAGES = {
    "sklearn": "scikit-learn",
    **{
        name: name.replace("_", "-")
        for name in "xgboost lightgbm catboost onnxruntime keras torch transformers sentence_transformers tensorflow "
        "spacy statsmodels skops mlflow".split()
    },
}
"""The package of each framework's module."""

_BOOSTING_LIBRARIES = ("xgboost", "lightgbm", "catboost")
_UBJSON_BYTES = {b"i": 1, b"U": 1, b"I": 2, b"l": 4, b"L": 8}
_NEWEST_LIGHTGBM_FORMAT = 4
"""Written by LightGBM 4; the number has followed that of the library since LightGBM 3."""


@dataclass(frozen=True)
class Writer:
    """The library that wrote a file: its name, its version at that time, and the installed version."""

    library: str
    version: str
    installed: str
    is_other: bool
    is_newer: bool


def warn_about_newer_libraries(path: Path) -> None:
    """Log a warning for each library of which a newer version than the installed one wrote the file.

    scikit-learn is left out: it warns itself.
    """
    for writer in find_writers(path, with_sklearn=False):
        if writer.is_newer:
            logger.warning(
                "%s was written by %s %s, and %s is installed: an older version may misread the file without an error. "
                "Install a newer %s, or save the model with the installed one.",
                path.name,
                writer.library,
                writer.version,
                writer.installed,
                writer.library,
            )


def find_writers(path: Path, *, with_sklearn: bool = True) -> list[Writer]:
    """Return the installed libraries whose versions the file names; none for a file that cannot be read."""
    try:
        found = [*_find_versions(path, with_sklearn)]
    except (*DECOMPRESSION_ERRORS, ValueError, KeyError, RuntimeError, zipfile.BadZipFile):  # loading it fails, too
        return []
    return [writer for library, written in found if (writer := _writer(library, written)) is not None]


def _writer(library: str, written: str) -> Writer | None:
    installed = installed_version(library)
    if installed is None:
        return None
    if library == "LightGBM":
        known = max(_NEWEST_LIGHTGBM_FORMAT, Version(installed).major)
        installed, of_format = f"{installed} (file format v{known})", f"of file format v{written}"
        return Writer(library, of_format, installed, int(written) != known, int(written) > known)
    try:
        is_newer = Version(written) > Version(installed)
    except InvalidVersion:
        return None
    return Writer(library, written, installed, written != installed, is_newer)


def library_versions() -> dict[str, str]:
    """Return the versions of Python, this package, NumPy, pandas and of the frameworks that are imported."""
    imported = [module for module in _FRAMEWORK_PACKAGES if module in sys.modules]
    return dict(_versions_of(tuple(imported)))


@lru_cache(maxsize=8)
def _versions_of(modules: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    packages = ("numpy", "pandas", *(_FRAMEWORK_PACKAGES[module] for module in modules))
    found = ((package, installed_version(package)) for package in packages)
    libraries = [(package, installed) for package, installed in found if installed is not None]
    return (("python", platform.python_version()), ("datarobot_drum", __version__), *libraries)


def installed_version(library: str) -> str | None:
    """Return the version of an installed library; None if it is not installed."""
    for name in (library, *VARIANTS.get(library.lower(), ())):
        with suppress(PackageNotFoundError):
            return version(name)
    return None


def _find_versions(path: Path, with_sklearn: bool) -> Iterator[tuple[str, str]]:
    if path.is_dir():
        yield from _folder_versions(path, detect_model_folder(path))
        return
    framework, modules = detect_framework(path), pickled_modules(path, _MAX_SCANNED_BYTES)
    if framework == "skops":
        yield from _archive_version(path, "schema.json", "_skops_version", "skops")
    elif framework == "keras":
        yield from _archive_version(path, "metadata.json", "keras_version", "keras")
    elif framework == "xgboost":
        yield from _xgboost_version(_read_ends(path))
    elif framework in ("lightgbm", "catboost") or modules:
        with open_content(path) as content:
            names = {framework, *modules}
            if "joblib" in modules:  # the scan of classes stops at its first array
                names |= {name for name in _BOOSTING_LIBRARIES if content.find(name.encode()) >= 0}
            yield from _boosting_versions(content, names)
            if modules and with_sklearn:
                yield from _sklearn_version(content)


def _folder_versions(folder: Path, framework: str | None) -> Iterator[tuple[str, str]]:
    if framework == "mlflow":
        yield from mlflow_versions(folder)
    elif framework in _VERSION_KEYS:
        file, key, library = _VERSION_KEYS[framework]
        document = read_json(folder / file)
        found = document.get(key) if isinstance(document, dict) else None
        found = found.get(library) if isinstance(found, dict) else found
        if isinstance(found, str):
            yield library, found


def _boosting_versions(content: bytes | mmap.mmap, modules: set[str | None]) -> Iterator[tuple[str, str]]:
    if "xgboost" in modules:
        yield from _xgboost_version(content)
    if "lightgbm" in modules and (found := _LIGHTGBM.search(content)):
        yield "LightGBM", found[1].decode()
    if "catboost" in modules and (found := _CATBOOST_BRANCH.search(content) or _CATBOOST_SUMMARY.search(content)):
        yield "CatBoost", found[1].decode()


def _sklearn_version(content: bytes | mmap.mmap) -> Iterator[tuple[str, str]]:
    if found := _SKLEARN.search(content):
        length = ord(found[1] or found[2])
        yield "scikit-learn", content[found.end() : found.end() + length].decode()
    elif found := _SKLEARN_TEXT.search(content):
        yield "scikit-learn", found[1].decode()


def _xgboost_version(content: bytes | mmap.mmap) -> Iterator[tuple[str, str]]:
    numbers: Sequence[int] = ()
    if found := _XGBOOST_UBJSON.search(content):
        numbers = _ubjson_integers(found[1])
    elif found := _XGBOOST_JSON.search(content):
        numbers = [int(number) for number in found.groups()]
    if numbers:
        yield "XGBoost", ".".join(map(str, numbers))


def _ubjson_integers(content: bytes) -> list[int]:
    """Return the first three integers, each a type marker and big-endian bytes."""
    numbers = []
    for _ in range(3):
        size = _UBJSON_BYTES[content[:1]]
        numbers.append(int.from_bytes(content[1 : 1 + size], "big"))
        content = content[1 + size :]
    return numbers


def _archive_version(path: Path, member: str, key: str, library: str) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(path) as archive:
        document = json.loads(archive.read(member))
    found = document.get(key) if isinstance(document, dict) else None
    if isinstance(found, str):
        yield library, found


def _read_ends(path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(_ENDS_BYTES)
        file.seek(max(_ENDS_BYTES, path.stat().st_size - _ENDS_BYTES))
        return head + file.read()
