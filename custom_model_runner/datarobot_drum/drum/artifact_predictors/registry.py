"""The table of frameworks, and the search for the one artifact of a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datarobot_drum.drum.artifact_predictors.base import ArtifactPredictor
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.importing import import_from_string


@dataclass(frozen=True)
class Framework:
    """One line of the table: what can be known of a framework without importing anything of it."""

    name: str
    extensions: tuple[str, ...]
    predictor: str

    def create_predictor(self) -> ArtifactPredictor:
        predictor: ArtifactPredictor = import_from_string(self.predictor)()
        return predictor


FRAMEWORKS = (
    Framework(
        "scikit-learn",
        (".pkl", ".joblib"),
        "datarobot_drum.drum.artifact_predictors.sklearn_predictor:SklearnPredictor",
    ),
)
"""In the order in which they are asked."""


def known_extensions() -> tuple[str, ...]:
    return tuple(extension for framework in FRAMEWORKS for extension in framework.extensions)


def list_artifacts(code_dir: Path) -> tuple[Path, ...]:
    """The model files at the top level of the folder, by name; hidden ones do not count."""
    known = known_extensions()
    return tuple(
        sorted(
            path
            for path in code_dir.iterdir()
            if path.suffix.lower() in known and not path.name.startswith(".") and path.is_file()
        )
    )


def require_one(artifacts: Iterable[Path]) -> Path | None:
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


def framework_of(path: Path) -> Framework:
    """The first framework that has the extension of a listed artifact."""
    return next(framework for framework in FRAMEWORKS if path.suffix.lower() in framework.extensions)


def load_artifact(path: Path) -> Any:
    """The model of the first framework that can load the file.

    Raises:
        ModelLoadError: none can, or the one that can fails.
    """
    for framework in FRAMEWORKS:
        if path.suffix.lower() in framework.extensions:
            predictor = framework.create_predictor()
            if predictor.can_load(path):
                return predictor.load(path)
    raise ModelLoadError(f"{path.name} is not an artifact of a known kind ({', '.join(known_extensions())}).")


def predictor_for(model: Any) -> ArtifactPredictor | None:
    """The framework that can predict with a loaded object, wherever it came from."""
    predictors = (framework.create_predictor() for framework in FRAMEWORKS)
    return next((predictor for predictor in predictors if predictor.accepts(model)), None)
