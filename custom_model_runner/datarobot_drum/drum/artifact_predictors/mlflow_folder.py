"""Folders that MLflow wrote: the file ``MLmodel`` beside the artifact says which library reads it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.imports import import_from_string

FILE_NAME = "MLmodel"

_PYTHON_MODEL = "mlflow.pyfunc.model"

logger = logging.getLogger(__name__)


def check_mlflow_folder(artifact: Path, *, has_hooks: bool) -> None:
    """Log that an artifact in a folder of MLflow is served without MLflow.

    Raises:
        ModelLoadError: the artifact is a model that only MLflow can call, and no hooks can do it.
    """
    flavors = _read_flavors(artifact.parent / FILE_NAME)
    if flavors is None:
        return
    if not has_hooks and flavors.get("python_function", {}).get("loader_module") == _PYTHON_MODEL:
        raise ModelLoadError(
            f"{artifact.name} is a Python model of MLflow, whose predict also takes MLflow's context: add a custom.py "
            "whose load_model hook returns mlflow.pyfunc.load_model(code_dir)."
        )
    logger.info(
        "The folder was written by MLflow (flavors: %s): %s is served directly; MLflow, its signature and its "
        "environment files are not used.",
        ", ".join(sorted(flavors)) or "none",
        artifact.name,
    )


def _read_flavors(file: Path) -> dict[str, dict[str, Any]] | None:
    """Return the flavors by name; None without a readable file."""
    if not file.is_file():
        return None
    try:
        document = import_from_string("yaml:safe_load")(file.read_bytes())
    except (OSError, UnicodeError, import_from_string("yaml:YAMLError")):
        return None
    flavors = document.get("flavors") if isinstance(document, dict) else None
    found = flavors.items() if isinstance(flavors, dict) else ()
    return {str(name): value if isinstance(value, dict) else {} for name, value in found}
