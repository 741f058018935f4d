"""Translate errors while an artifact is loaded into one sentence, and log its warnings."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datarobot_drum.drum.artifact_predictors.load_hints import describe_load_error
from datarobot_drum.drum.artifact_predictors.versions import warn_about_newer_libraries
from datarobot_drum.drum.exceptions import ModelLoadError

logger = logging.getLogger(__name__)


@contextmanager
def artifact_load_errors(path: Path) -> Iterator[None]:
    """Raise any error as ``ModelLoadError``, and log warnings; loading may run arbitrary code.

    A newer library than the installed one as the writer of the file is a warning, too.

    Warnings are recorded for the whole process, those of other threads included: do not use it around predictions.
    """
    warn_about_newer_libraries(path)
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
    except (Exception, SystemExit) as error:
        raise ModelLoadError(f"{path.name} {describe_load_error(error, path)}") from error
