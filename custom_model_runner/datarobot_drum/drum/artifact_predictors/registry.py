"""The search for the one artifact of a model, and for the framework that loads it and predicts with it.

Content decides first, then the name: what another package's plug-in says it can load, what the bytes certainly are,
the class in a pickle, and at last the extension.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from datarobot_drum.drum.artifact_predictors.base import ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.file_detection import detect_framework, pickled_modules
from datarobot_drum.drum.artifact_predictors.frameworks import FRAMEWORKS, Framework, module_roots
from datarobot_drum.drum.artifact_predictors.plugins import plugin_predictors
from datarobot_drum.drum.exceptions import ModelLoadError

PICKLE_FRAMEWORK = FRAMEWORKS[-1]
"""Loads every framework's pickles."""

CONTENT_ONLY = (".json", ".txt", ".pt")
"""Extensions that much else has, too: such a file is an artifact if its content says so. Named in messages only."""


def list_extensions() -> str:
    """For a message: what an artifact may be called."""
    return ", ".join([*known_extensions(), *CONTENT_ONLY])


def known_extensions() -> tuple[str, ...]:
    own = (extension for framework in reversed(FRAMEWORKS) for extension in framework.extensions)
    return (*own, *(extension for plugin in plugin_predictors() for extension in plugin.extensions))


def list_artifacts(code_dir: Path) -> tuple[Path, ...]:
    """The model files at the top level of the folder, by name; hidden ones do not count.

    Files of a known extension, and those of any other whose content is certainly a framework's own format.
    """
    known, plugins = known_extensions(), plugin_predictors()
    return tuple(
        sorted(
            path
            for path in code_dir.iterdir()
            if not path.name.startswith(".")
            and path.is_file()
            and (
                path.suffix.lower() in known
                or detect_framework(path)
                or any(plugin.can_load(path) for plugin in plugins)
            )
        )
    )


def require_single_artifact(artifacts: Iterable[Path]) -> Path | None:
    """The artifact, if there is one.

    Raises:
        ModelLoadError: there are several; only a ``load_model`` hook can choose (model-contract.md section 1).
    """
    found = list(artifacts)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ModelLoadError(
            f"The model folder holds several artifacts ({names}): keep one, or add a load_model hook to custom.py."
        )
    return found[0] if found else None


def framework_name(path: Path) -> str:
    """Who predicts with a listed artifact, as far as the file tells before it is loaded."""
    plugin = _find_plugin(path)
    if plugin is not None:
        return plugin.name
    framework = _find_framework(path)
    return (
        _pickled_framework(path).name if framework is PICKLE_FRAMEWORK else framework.name if framework else path.suffix
    )


def is_thread_safe(path: Path) -> bool:
    """Whether the model in a listed artifact may be asked from several threads, as far as the file tells."""
    plugin = _find_plugin(path)
    if plugin is not None:
        return plugin.thread_safe
    framework = _find_framework(path)
    if framework is not PICKLE_FRAMEWORK:
        return framework is None or framework.thread_safe
    modules = set(pickled_modules(path))
    return all(framework.thread_safe or not modules & set(framework.modules) for framework in FRAMEWORKS)


def load_artifact(path: Path, custom: ModuleType | None = None) -> Any:
    """The model in a file, loaded by the framework that the file is of.

    Args:
        custom: the model's ``custom.py``, where a file needs its code.

    Raises:
        ModelLoadError: it is no known kind of file, its framework is not installed, or loading it fails.
    """
    plugin = _find_plugin(path)
    if plugin is not None:
        return plugin.load(path, custom)
    framework = _find_framework(path)
    if framework is None:
        raise ModelLoadError(f"{path.name} is not an artifact of a known kind ({list_extensions()}).")
    return framework.create_predictor().load(path, custom)


def find_predictor(model: Any) -> ArtifactPredictor | None:
    """The framework that can predict with a loaded object, wherever it came from."""
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
    return next((predictor for predictor in plugin_predictors() if predictor.can_load(path)), None)


def _find_framework(path: Path) -> Framework | None:
    name, extension = detect_framework(path), path.suffix.lower()
    by_content = [framework for framework in FRAMEWORKS if framework.name == name]
    by_name = [framework for framework in FRAMEWORKS if extension in framework.extensions]
    return next(iter(by_content + by_name), None)


def _pickled_framework(path: Path) -> Framework:
    """The framework of the outermost class."""
    first = pickled_modules(path)[:1]
    return next((framework for framework in FRAMEWORKS if first and first[0] in framework.modules), PICKLE_FRAMEWORK)
