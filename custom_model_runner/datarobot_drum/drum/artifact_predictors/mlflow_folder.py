"""Folders that MLflow wrote: the file ``MLmodel`` says which library reads the model.

Flavors of libraries that are served are read by their own predictors, without MLflow: the data of a flavor is the
artifact. Any other model is the folder itself, which MLflow loads as a ``python_function``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datarobot_drum.drum.artifact_predictors.model_folders import MLFLOW_FILE
from datarobot_drum.drum.imports import import_from_string

_PYTHON_FUNCTION = "python_function"
_DATA_KEYS = {
    "sklearn": "pickled_model",
    "xgboost": "data",
    "lightgbm": "data",
    "catboost": "data",
    "onnx": "data",
    "keras": "data",
    "statsmodels": "data",
    "spacy": "data",
    "sentence_transformers": "data",
}
"""Flavors whose data is an artifact of ours, with the key of its path."""

_MAX_LEVELS = 3
"""The data of a flavor lies at most this far below the file ``MLmodel``, itself included."""

logger = logging.getLogger(__name__)


def find_data(folder: Path) -> Path | None:
    """Return the data of the flavor that is served, or the folder for MLflow itself; None without a readable flavor."""
    flavors = _flavors(read_mlmodel(folder))
    for flavor, key in _DATA_KEYS.items():
        if flavor in flavors and (data := _inside(folder, flavors[flavor].get(key))) is not None:
            return data
    return folder if _PYTHON_FUNCTION in flavors else None


def find_root(artifact: Path) -> Path | None:
    """Return the folder with the file ``MLmodel`` that an artifact belongs to; None without one."""
    levels = (artifact, *artifact.parents)[:_MAX_LEVELS]
    return next((level for level in levels if (level / MLFLOW_FILE).is_file()), None)


def read_mlmodel(folder: Path) -> Mapping[str, Any]:
    """Return the content of ``MLmodel``; empty for an unreadable file."""
    try:
        document = import_from_string("yaml:safe_load")((folder / MLFLOW_FILE).read_bytes())
    except (OSError, UnicodeError, import_from_string("yaml:YAMLError")):
        return {}
    return document if isinstance(document, dict) else {}


def trusted_types(artifact: Path) -> list[str]:
    """Return the types that MLflow has recorded as trusted in a skops file, when it wrote the file."""
    root = find_root(artifact)
    flavors = _flavors(read_mlmodel(root)) if root else {}
    found = [flavor.get("skops_trusted_types") for flavor in flavors.values()]
    return [str(name) for names in found if isinstance(names, list) for name in names]


def library_versions(folder: Path) -> list[tuple[str, str]]:
    """Return the libraries that ``MLmodel`` names with the versions that wrote the model."""
    document = read_mlmodel(folder)
    flavors = _flavors(document)
    named = [
        ("mlflow", document.get("mlflow_version")),
        ("scikit-learn", flavors.get("sklearn", {}).get("sklearn_version")),
        ("statsmodels", flavors.get("statsmodels", {}).get("statsmodels_version")),
    ]
    return [(library, version) for library, version in named if isinstance(version, str)]


def log_mlflow_folder(artifact: Path) -> None:
    """Log that an artifact in a folder of MLflow is served without MLflow."""
    root = find_root(artifact)
    document = read_mlmodel(root) if root is not None and root != artifact else {}
    if document:
        logger.info(
            "The folder was written by MLflow (flavors: %s): %s is served directly, without MLflow; its signature "
            "names the columns, and its environment files are not used.",
            ", ".join(sorted(_flavors(document))) or "none",
            artifact.name,
        )


def _flavors(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    flavors = document.get("flavors")
    found = flavors.items() if isinstance(flavors, dict) else ()
    return {str(name): value if isinstance(value, dict) else {} for name, value in found}


def _inside(folder: Path, name: Any) -> Path | None:
    """Return an existing path below the folder; None for any other name."""
    if not isinstance(name, str) or not name:
        return None
    path = folder / name
    is_inside = path.resolve().is_relative_to(folder.resolve()) and path.resolve() != folder.resolve()
    return path if is_inside and path.exists() else None
