"""Detect the framework of a file from its content, without importing or unpickling anything."""

from __future__ import annotations

import io
import mmap
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from datarobot_drum.drum.artifact_predictors.compression import open_content, read_head
from datarobot_drum.drum.artifact_predictors.onnx_graph import is_onnx

_SIGNATURE_BYTES = 512
_MAX_OPCODES = 100_000
_MAX_SCANNED_BYTES = 1 << 24
"""Files of hooks may be large, and models name themselves near the start of a file."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_KERAS_ATTRIBUTE = b"model_config"
_MAGIC = {
    b"CBM1": "catboost",
    b"tree\nversion=": "lightgbm",
    b"tree\r\nversion=": "lightgbm",
    # torch.save before the zip format: it starts with a pickled magic number.
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.": "pytorch",
}
_XGBOOST_JSON = re.compile(rb'\s*\{\s*("version"\s*:\s*\[[\d,\s]*\]\s*,\s*)?"learner"\s*:\s*\{')
_XGBOOST_UBJSON = re.compile(rb"\{L\x00{7}\x07(learner|version)")
_PICKLE = re.compile(rb"\x80[\x02-\x05]|c(copy_reg|copyreg)\n_reconstructor\n")
"""Start of a pickle: protocols 2 to 5 by their number, 0 and 1 by the way in which they create an object."""

_TEXT_PICKLE = re.compile(rb"c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n")
"""Start of any other pickle of protocol 0 or 1 with a class; a list of words looks the same."""

_PICKLE_ENDINGS = frozenset({".pkl", ".pickle", ".joblib", ".sav", ".pck", ".pcl", ".p"})
_DATA_MODULES = frozenset(
    "builtins __builtin__ copyreg copy_reg _codecs collections datetime decimal fractions functools joblib numpy "
    "operator pandas pathlib pyarrow re scipy uuid zoneinfo".split()
)
"""Modules whose classes hold data; a pickle of a model names others, too."""

_STRINGS = ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")


def detect_framework(path: Path) -> str | None:
    """Return the framework whose native format the file has; None if the content is ambiguous."""
    try:
        with path.open("rb") as file:
            head = file.read(_SIGNATURE_BYTES)
    except OSError:
        return None
    if head.startswith(b"PK\x03\x04"):
        return _detect_archive_framework(path)
    if _XGBOOST_JSON.match(head) or _XGBOOST_UBJSON.match(head):
        return "xgboost"
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def detect_unnamed_framework(path: Path) -> str | None:
    """Return the framework of a model whose name and first bytes do not identify it; None for other files.

    These are ONNX, HDF5 files of Keras, and pickles, also compressed ones. A pickle must name a class that is no data.
    """
    if is_onnx(path):
        return "onnx"
    if _is_keras_hdf5(path):
        return "keras"
    return "scikit-learn" if model_modules(path) else None


def is_pickle(path: Path) -> bool:
    """Return True for a pickle, compressed or not."""
    head = read_head(path, _SIGNATURE_BYTES)
    named_so = not _PICKLE_ENDINGS.isdisjoint(suffix.lower() for suffix in path.suffixes)
    return bool(_PICKLE.match(head) or (named_so and _TEXT_PICKLE.match(head)))


def pickled_modules(path: Path, max_bytes: int | None = None) -> tuple[str, ...]:
    """Return the top-level modules of the classes in a pickle, in file order; the model's own comes first.

    The scan stops at ``max_bytes``, and at the raw arrays that joblib writes between the opcodes.
    """
    if not is_pickle(path):
        return ()
    try:
        with open_content(path) as content:
            stream = (
                content if isinstance(content, mmap.mmap) and max_bytes is None else io.BytesIO(content[:max_bytes])
            )
            return tuple(dict.fromkeys(_global_modules(cast(BinaryIO, stream))))
    except OSError:
        return ()


def model_modules(path: Path) -> tuple[str, ...]:
    """Return the top-level modules of the classes at the start of a pickle, without those of data."""
    return tuple(module for module in pickled_modules(path, _MAX_SCANNED_BYTES) if module not in _DATA_MODULES)


def _is_keras_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            if file.read(len(_HDF5)) != _HDF5:
                return False
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return content.find(_KERAS_ATTRIBUTE, 0, _MAX_SCANNED_BYTES) >= 0
    except OSError:
        return False


def is_torch_script(path: Path) -> bool:
    """Return True if a PyTorch file contains its own code."""
    return any("/code/" in name for name in _member_names(path))


def _detect_archive_framework(path: Path) -> str | None:
    names = _member_names(path)
    if "schema.json" in names:
        return "skops"
    if {"config.json", "metadata.json"} <= names:
        return "keras"
    is_torch = any(name.endswith("/data.pkl") and name.count("/") == 1 for name in names)
    return "pytorch" if is_torch else None


def _member_names(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return set()


def _global_modules(file: BinaryIO) -> Iterator[str]:
    """Yield the top-level module of every class reference, up to the first byte that is no pickle."""
    memo: list[object] = []
    last: list[object] = [None, None]
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count > _MAX_OPCODES:
                return
            name = opcode.name
            if name == "MEMOIZE":
                memo.append(last[1])
                continue
            if name in ("GLOBAL", "STACK_GLOBAL"):
                module = str(argument).partition(" ")[0] if name == "GLOBAL" else str(last[0])
                yield module.partition(".")[0]
                if module == "joblib.numpy_pickle":
                    return
            last = [last[1], _pushed_text(name, argument, memo)]
    except (ValueError, IndexError, UnicodeError):
        return


def _pushed_text(name: str, argument: object, memo: list[object]) -> object:
    """Return the string that an opcode pushes on the stack; None for other opcodes."""
    if name in _STRINGS:
        return argument
    if name in ("BINGET", "LONG_BINGET") and isinstance(argument, int) and argument < len(memo):
        return memo[argument]
    return None
