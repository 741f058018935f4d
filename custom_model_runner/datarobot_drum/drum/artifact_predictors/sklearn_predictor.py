"""scikit-learn and whatever behaves like it: any object with ``predict`` from a ``.pkl`` or ``.joblib`` file."""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.estimators import bind_estimator
from datarobot_drum.drum.artifact_predictors.load_advice import advise
from datarobot_drum.drum.exceptions import ModelLoadError

if TYPE_CHECKING:
    from datarobot_drum.drum.settings import ModelSettings

logger = logging.getLogger(__name__)

_EXTRA = "install datarobot-drum[scikit-learn]"


class SklearnPredictor(ArtifactPredictor):
    name = "scikit-learn"
    extensions = (".pkl", ".joblib")

    def load(self, path: Path) -> Any:
        with _load_errors(path), _logged_warnings(path):
            return _unpickle(path)

    def accepts(self, model: Any) -> bool:
        return any(callable(getattr(model, method, None)) for method in ("predict", "predict_proba"))

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        return bind_estimator(model, settings)


def _unpickle(path: Path) -> Any:
    """``joblib`` reads its own files and plain pickles; where it is missing, plain pickles can still be read."""
    try:
        import joblib
    except ImportError:
        with path.open("rb") as file:
            return pickle.load(file)
    return joblib.load(path)


@contextmanager
def _load_errors(path: Path) -> Iterator[None]:
    """One sentence for whatever goes wrong: unpickling runs arbitrary code, so anything may be raised."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModelLoadError(f"{path.name} could not be loaded: {_describe_missing(error)}.") from error
    except (Exception, SystemExit) as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".:")
        raise ModelLoadError(f"{path.name} could not be loaded: {cause}.{advise(error, path)}") from error


def _describe_missing(error: ModuleNotFoundError) -> str:
    module = error.name or str(error)
    if module.partition(".")[0] in ("sklearn", "joblib", "scipy"):
        return f"it needs the module {module}; {_EXTRA}"
    return f"it needs the module {module}, which is not installed"


@contextmanager
def _logged_warnings(path: Path) -> Iterator[None]:
    """Log what the framework warns of while a file loads, above all that another version wrote it.

    Warnings belong to the process: those of other threads in that time are logged with these. Never around predictions.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught):
        logger.warning("%s: %s", path.name, message)
