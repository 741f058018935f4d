"""Translate errors while an artifact is loaded into one sentence, and log its warnings."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datarobot_drum.drum.artifact_predictors.frameworks import install_hint
from datarobot_drum.drum.artifact_predictors.load_hints import load_hint
from datarobot_drum.drum.error_text import without_native_trace
from datarobot_drum.drum.exceptions import ModelLoadError

logger = logging.getLogger(__name__)


@contextmanager
def artifact_load_errors(path: Path) -> Iterator[None]:
    """Raise any error as ``ModelLoadError``, and log warnings; loading may run arbitrary code.

    Warnings are recorded for the whole process, those of other threads included: do not use it around predictions.
    """
    with _translate_errors(path), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught):
        logger.warning("%s: %s", path.name, message)


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except ModelLoadError:
        raise
    except ModuleNotFoundError as error:
        raise ModelLoadError(f"{path.name} could not be loaded: {_describe_missing(error)}.") from error
    except (Exception, SystemExit) as error:
        cause = " ".join(f"{type(error).__name__}: {without_native_trace(str(error))}".split()).rstrip(".:")
        raise ModelLoadError(f"{path.name} could not be loaded: {cause}.{load_hint(error, path)}") from error


def _describe_missing(error: ModuleNotFoundError) -> str:
    module = error.name or str(error)
    hint = install_hint(module)
    return (
        f"it needs the module {module}; {hint}"
        if "[" in hint
        else f"it needs the module {module}, which is not installed"
    )
