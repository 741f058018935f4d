"""Detect folders that are one model as a whole, from the files in them. Nothing is imported or loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

MLFLOW_FILE = "MLmodel"
SAVED_MODEL_FILE = "saved_model.pb"

_MAX_DOCUMENT_BYTES = 1 << 24
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def detect_model_folder(folder: Path) -> str | None:
    """Return the framework of a folder that is one model; None for any other path."""
    if not folder.is_dir():
        return None
    return next((name for name, is_model in _FOLDERS.items() if is_model(folder)), None)


def read_json(file: Path) -> Any:
    """Return the document in a file; None if the file is absent, too large or no JSON."""
    try:
        if file.stat().st_size > _MAX_DOCUMENT_BYTES:
            return None
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _is_mlflow(folder: Path) -> bool:
    return (folder / MLFLOW_FILE).is_file()


def _is_sentence_transformer(folder: Path) -> bool:
    modules = read_json(folder / "modules.json")
    return isinstance(modules, list) and any(
        isinstance(module, dict) and str(module.get("type")).startswith("sentence_transformers.") for module in modules
    )


def _is_transformers(folder: Path) -> bool:
    config = read_json(folder / "config.json")
    return isinstance(config, dict) and "model_type" in config and any(any(folder.glob(name)) for name in _WEIGHTS)


def _is_spacy(folder: Path) -> bool:
    meta = read_json(folder / "meta.json")
    return isinstance(meta, dict) and "lang" in meta and "pipeline" in meta and (folder / "config.cfg").is_file()


def _is_saved_model(folder: Path) -> bool:
    return (folder / SAVED_MODEL_FILE).is_file() and (folder / "variables").is_dir()


_FOLDERS: dict[str, Callable[[Path], bool]] = {
    "mlflow": _is_mlflow,
    "sentence-transformers": _is_sentence_transformer,
    "transformers": _is_transformers,
    "spacy": _is_spacy,
    "tensorflow": _is_saved_model,
}
"""In search order: MLflow and sentence-transformers keep other models inside."""
