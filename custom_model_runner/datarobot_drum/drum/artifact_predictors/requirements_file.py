"""The file ``requirements.txt`` of a model folder: compared with what is installed, searched for a missing module."""

from __future__ import annotations

import codecs
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

FILE_NAME = "requirements.txt"

logger = logging.getLogger(__name__)

_MAX_LISTED = 10
_CONTINUED_LINE = re.compile(r"\\\r?\n")
_COMMENT = re.compile(r"(^|\s)#.*")
_OPTION = re.compile(r"(^|\s)-.*")

_DISTRIBUTIONS = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "imblearn": "imbalanced-learn",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
    "yaml": "PyYAML",
}
"""Packages of modules with another name; those that are installed are known without it."""

_SAME_LIBRARY = (
    {"xgboost", "xgboost-cpu"},
    {"onnxruntime", "onnxruntime-gpu"},
    {"tensorflow", "tensorflow-cpu"},
    {"faiss-cpu", "faiss-gpu"},
    {"psycopg2", "psycopg2-binary"},
    {"opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"},
)
"""Packages that install the same modules: one stands for another."""


def warn_about_other_versions(folder: Path) -> None:
    """Log one warning with the requirements of the folder that the installed packages do not meet."""
    unmet = [text for requirement in read_requirements(folder) if (text := _describe_unmet(requirement))]
    if unmet:
        more = f" and {len(unmet) - _MAX_LISTED} more" if len(unmet) > _MAX_LISTED else ""
        logger.warning(
            "%s names other versions than are installed: %s%s. The model may fail or predict otherwise than where it "
            "was trained: install them (pip install -r %s), or correct the file.",
            FILE_NAME,
            ", ".join(unmet[:_MAX_LISTED]),
            more,
            FILE_NAME,
        )


def missing_module_hint(module: str, folder: Path) -> str:
    """Return a sentence that starts with a blank: whether the folder's requirements name a missing module.

    It is empty if there is no such file.
    """
    requirements = read_requirements(folder)
    if not requirements and not (folder / FILE_NAME).is_file():
        return ""
    root = module.partition(".")[0]
    names = _same_library(_DISTRIBUTIONS.get(root, root))
    for requirement in requirements:
        if canonicalize_name(requirement.name) in names:
            return f" {FILE_NAME} lists it ({requirement}): pip install -r {FILE_NAME}."
    return f" {FILE_NAME} does not list it."


def read_requirements(folder: Path) -> list[Requirement]:
    """Return the requirements that apply to this interpreter; other lines of the file, such as options, are skipped."""
    try:
        text = _decode((folder / FILE_NAME).read_bytes())
    except (OSError, UnicodeError):
        return []
    lines = _CONTINUED_LINE.sub(" ", text).splitlines()
    return list(_parse(_OPTION.sub("", _COMMENT.sub("", line)).strip() for line in lines))


def write_requirements(folder: Path, modules: Iterable[str]) -> None:
    """Write the installed versions of the packages of ``modules``, unless the folder has the file already."""
    file = folder / FILE_NAME
    pins = [f"{name}=={version(name)}" for name in _installed_packages(modules)]
    if pins and not file.exists():
        text = "\n".join(["# Written by drum fit: the versions with which the model was trained.", *pins, ""])
        file.write_text(text, encoding="utf-8")


def _installed_packages(modules: Iterable[str]) -> list[str]:
    packages = packages_distributions()
    own = (module for module in modules if module not in sys.stdlib_module_names)
    return sorted({name for module in own for name in packages.get(module, ())}, key=str.lower)


def _decode(content: bytes) -> str:
    """Decode by the byte order mark: PowerShell's ``pip freeze >`` writes UTF-16."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")


def _parse(lines: Iterable[str]) -> Iterator[Requirement]:
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate():
            yield requirement


def _describe_unmet(requirement: Requirement) -> str | None:
    installed = [found for name in _same_library(requirement.name) if (found := _version(name)) is not None]
    if not installed:
        return f"{requirement.name}{requirement.specifier} (not installed)"
    if any(requirement.specifier.contains(found, prereleases=True) for found in installed):
        return None
    return f"{requirement.name}{requirement.specifier} ({installed[0]} is installed)"


def _same_library(name: str) -> set[str]:
    own = canonicalize_name(name)
    return next((group for group in _SAME_LIBRARY if own in group), {own})


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
