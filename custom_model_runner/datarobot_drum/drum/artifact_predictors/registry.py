"""Find the artifact in a model folder, and the framework that loads it and predicts with it.

An artifact is a file, or a folder that is one model as a whole. Search order: a plug-in that accepts the file, the
content of a native format, the class in a pickle, the extension, other content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from datarobot_drum.drum.artifact_predictors.base import ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.file_detection import (
    detect_framework,
    detect_unnamed_framework,
    is_pickle,
    model_modules,
    pickled_modules,
)
from datarobot_drum.drum.artifact_predictors.frameworks import FRAMEWORKS, Framework, module_roots
from datarobot_drum.drum.artifact_predictors.load_policy import check_pickle
from datarobot_drum.drum.artifact_predictors.mlflow_folder import find_data, log_mlflow_folder
from datarobot_drum.drum.artifact_predictors.model_folders import detect_model_folder
from datarobot_drum.drum.artifact_predictors.plugins import plugin_predictors
from datarobot_drum.drum.artifact_predictors.unserved_formats import unserved_content
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.settings.load_policy import PicklePolicy

PICKLE_FRAMEWORK = FRAMEWORKS[-1]
"""It loads the pickles of every framework."""

CONTENT_ONLY = (".json", ".txt", ".pt")
"""Ambiguous extensions: such a file is an artifact only by its content. Used in messages."""


def list_extensions() -> str:
    """Format the extensions of artifacts for a message."""
    return ", ".join([*known_extensions(), *CONTENT_ONLY])


def known_extensions() -> tuple[str, ...]:
    own = (extension for framework in reversed(FRAMEWORKS) for extension in framework.extensions)
    return (*own, *(extension for plugin in plugin_predictors() for extension in plugin.extensions))


def list_artifacts(code_dir: Path) -> tuple[Path, ...]:
    """Return the model that the folder is as a whole, else its model files at the top level, sorted by name.

    A model file has a known extension, or the content of a framework's native format. Hidden files are left out.
    """
    if whole := _whole_model(code_dir):
        return (whole,)
    known, plugins = known_extensions(), plugin_predictors()
    return tuple(
        path
        for path in _files(code_dir)
        if path.suffix.lower() in known or detect_framework(path) or any(plugin.can_load(path) for plugin in plugins)
    )


def list_unnamed_artifacts(code_dir: Path) -> tuple[Path, ...]:
    """Return the files that are models by their content alone, and the subfolders that are one model.

    Such files are pickles, ONNX and Keras files under other names. Call it only where ``list_artifacts`` returned
    nothing and no hook predicts: they may also be data of hooks.
    """
    files = (path for path in _files(code_dir) if detect_unnamed_framework(path))
    return (*files, *list_model_folders(code_dir))


def list_model_folders(code_dir: Path) -> tuple[Path, ...]:
    """Return the models that are folders: the code dir itself, or its subfolders."""
    whole = _whole_model(code_dir)
    return (whole,) if whole else tuple(model for folder in _folders(code_dir) if (model := _whole_model(folder)))


def _whole_model(folder: Path) -> Path | None:
    """Return the artifact of a folder that is one model: the folder, or the data in it that has a predictor of ours."""
    kind = detect_model_folder(folder)
    if kind != "mlflow":
        return folder if kind else None
    data = find_data(folder)
    if data is None or data == folder or not data.is_dir():
        return data
    return next(iter(list_artifacts(data)), folder)


def _files(code_dir: Path) -> Iterator[Path]:
    """Yield the visible files at the top level of the folder, sorted by name."""
    return (path for path in sorted(code_dir.iterdir()) if not path.name.startswith(".") and path.is_file())


def _folders(code_dir: Path) -> Iterator[Path]:
    return (path for path in sorted(code_dir.iterdir()) if not path.name.startswith((".", "__")) and path.is_dir())


def require_single_artifact(artifacts: Iterable[Path]) -> Path | None:
    """Return the artifact, or None without one.

    Raises:
        ModelLoadError: there are several; only a ``load_model`` hook can choose one.
    """
    found = list(artifacts)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ModelLoadError(
            f"The model folder holds several artifacts ({names}): keep one, or add a load_model hook to custom.py."
        )
    return found[0] if found else None


def framework_name(path: Path) -> str:
    """Return the name of the framework that predicts with an artifact, as far as the unloaded file shows."""
    plugin = _find_plugin(path)
    if plugin is not None:
        return plugin.name
    framework = _find_framework(path)
    return (
        _pickled_framework(path).name if framework is PICKLE_FRAMEWORK else framework.name if framework else path.suffix
    )


def is_thread_safe(path: Path) -> bool:
    """Return True if the artifact may predict in several threads, as far as the unloaded file shows."""
    plugin = _find_plugin(path)
    if plugin is not None:
        return plugin.thread_safe
    framework = _find_framework(path)
    if framework is not PICKLE_FRAMEWORK:
        return framework is None or framework.thread_safe
    modules = set(pickled_modules(path))
    return all(framework.thread_safe or not modules & set(framework.modules) for framework in FRAMEWORKS)


def load_artifact(path: Path, custom: ModuleType | None = None, policy: PicklePolicy = PicklePolicy.ALLOW) -> Any:
    """Load the model in a file with its framework.

    Args:
        custom: the module ``custom.py``, for files that need code from it.

    Raises:
        ModelLoadError: the format is unknown, its framework is not installed, the policy rejects it, or loading fails.
    """
    plugin = _find_plugin(path)
    if plugin is not None:
        if is_pickle(path):
            check_pickle(path, policy)
        return plugin.load(path, custom)
    if detect_framework(path) is None and (unserved := unserved_content(path)):
        raise ModelLoadError(f"{path.name} {unserved}.")
    log_mlflow_folder(path)
    framework = _find_framework(path)
    if framework is None:
        raise ModelLoadError(f"{path.name} is not an artifact of a known kind ({list_extensions()}).")
    return framework.create_predictor(policy).load(path, custom)


def find_predictor(model: Any) -> ArtifactPredictor | None:
    """Return the predictor for a loaded object, from an artifact or a hook; None without one."""
    for plugin in plugin_predictors():
        if plugin.accepts(model):
            return plugin
    roots = set(module_roots(model))
    for framework in FRAMEWORKS:
        if roots & set(framework.modules) or framework is PICKLE_FRAMEWORK:
            predictor = framework.create_predictor()
            if predictor.accepts(model):
                return predictor
    return None


def _find_plugin(path: Path) -> ArtifactPredictor | None:
    is_file = not path.is_dir()
    return next((predictor for predictor in plugin_predictors() if is_file and predictor.can_load(path)), None)


def _find_framework(path: Path) -> Framework | None:
    if path.is_dir():
        return _named(detect_model_folder(path))
    extension = path.suffix.lower()
    by_name = next((framework for framework in FRAMEWORKS if extension in framework.extensions), None)
    by_content = _named(detect_framework(path))
    return by_content or by_name or _named(detect_unnamed_framework(path))


def _named(name: str | None) -> Framework | None:
    return next((framework for framework in FRAMEWORKS if framework.name == name), None)


def _pickled_framework(path: Path) -> Framework:
    """Return the framework of the outermost class in a pickle."""
    first = model_modules(path)[:1]
    return next((framework for framework in FRAMEWORKS if first and first[0] in framework.modules), PICKLE_FRAMEWORK)
