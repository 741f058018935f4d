"""Describe the files of a folder in which no model was found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from datarobot_drum.drum.artifact_predictors.file_detection import is_pickle
from datarobot_drum.drum.artifact_predictors.model_folders import SAVED_MODEL_FILE, detect_model_folder
from datarobot_drum.drum.artifact_predictors.registry import list_artifacts, list_unnamed_artifacts
from datarobot_drum.drum.artifact_predictors.unserved_formats import unserved_format

_SKIPPED_FOLDERS = (".", "__pycache__", "site-packages", "node_modules")
_MAX_FOLDERS, _MAX_NAMES = 100, 8


def describe_contents(code_dir: Path) -> str:
    """Return sentences that start with a blank: what is there instead of a model."""
    names = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in _entries(code_dir)]
    if not names:
        return " The folder is empty."
    others = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return explain_files(code_dir) or f" It contains {', '.join(names[:_MAX_NAMES])}{others}."


def explain_files(code_dir: Path) -> str:
    """Return sentences that start with a blank about files that look like a model and are none; or an empty text."""
    explanations = [*_describe_folders(code_dir), *_describe_files(code_dir)]
    return "".join(f" {explanation}." for explanation in explanations[:_MAX_NAMES])


def _describe_files(folder: Path, name: str = "") -> Iterator[str]:
    for file in (entry for entry in _entries(folder) if entry.is_file() and entry.name != SAVED_MODEL_FILE):
        if unserved := unserved_format(file):
            yield f"{name}{file.name} {unserved}"
        elif is_pickle(file):
            yield f"{name}{file.name} is a pickle of data, not of a model"


def _describe_folders(code_dir: Path) -> Iterator[str]:
    """Describe the folder itself and its nearest subfolders that contain a model."""
    for count, (path, subfolders, _) in enumerate(os.walk(code_dir)):
        if count == _MAX_FOLDERS:
            return
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(_SKIPPED_FOLDERS))
        folder = Path(path)
        name = "" if folder == code_dir else f"{folder.relative_to(code_dir)}/"
        if kind := detect_model_folder(folder):
            subfolders.clear()
            yield f"{name or 'It'} is a model folder ({kind}): name it as --code-dir"
        elif name:
            yield from _describe_subfolder(folder, name)


def _describe_subfolder(folder: Path, name: str) -> Iterator[str]:
    found = list_artifacts(folder) or list_unnamed_artifacts(folder)
    artifacts = [artifact for artifact in found if artifact.parent == folder and artifact.is_file()]
    if not artifacts:
        yield from _describe_files(folder, name)
    for artifact in artifacts[:1]:
        yield (
            f"{name}{artifact.name} is in a subfolder, and only the top level is searched: move it there, or "
            f"name {name} as --code-dir"
        )


def _entries(folder: Path) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(_SKIPPED_FOLDERS)]
