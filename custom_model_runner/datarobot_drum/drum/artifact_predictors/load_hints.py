"""Hints for artifacts that could not be loaded."""

import mmap
import pickle
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_SKLEARN_VERSION = re.compile(rb"_sklearn_version(?:\x94|q.|r.{4})?(?:\x8c(.)|X(.)\0\0\0)", re.DOTALL)
"""The key of the version in a pickle, its optional memo, and the length of the version text that follows."""


def load_hint(error: BaseException, path: Path) -> str:
    """Return one or two sentences that start with a blank, or an empty text."""
    if isinstance(error, AttributeError) and "__main__" in str(error):
        return " Its class was defined in a script: move it to custom.py or a module beside it, and pickle again."
    if made_with := _foreign_sklearn_version(path):
        installed = version("scikit-learn")
        return (
            f" It was made with scikit-learn {made_with}, and {installed} is installed: install that version, or train "
            "the model with this one."
        )
    if isinstance(error, pickle.UnpicklingError | EOFError):
        return " The file is damaged, or of another kind than its name says: save the model again."
    return ""


def _foreign_sklearn_version(path: Path) -> str | None:
    """Return the scikit-learn version that wrote the file, if it differs from the installed one."""
    try:
        installed = version("scikit-learn")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = _SKLEARN_VERSION.search(content)
            if found is None:
                return None
            length = ord(found[1] or found[2])
            made_with = content[found.end() : found.end() + length].decode()
    except (PackageNotFoundError, OSError, ValueError):  # mmap rejects an empty file
        return None
    return None if made_with == installed else made_with
