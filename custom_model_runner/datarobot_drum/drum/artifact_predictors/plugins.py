"""Predictors of other packages, registered in the entry point group ``GROUP``."""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from datarobot_drum.drum.artifact_predictors.base import ArtifactPredictor

GROUP = "datarobot_drum.artifact_predictors"

logger = logging.getLogger(__name__)


@cache
def plugin_predictors() -> tuple[ArtifactPredictor, ...]:
    """Create one predictor per entry point, sorted by name; log and skip those that fail."""
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    return tuple(predictor for entry in found if (predictor := _create(entry)) is not None)


def _create(entry: EntryPoint) -> ArtifactPredictor | None:
    try:
        predictor = entry.load()()
    except Exception as error:  # third-party code; models of other frameworks must still load
        logger.warning("The plug-in %s (%s) is left out: %s: %s", entry.name, entry.value, type(error).__name__, error)
        return None
    if isinstance(predictor, ArtifactPredictor):
        return predictor
    logger.warning("The plug-in %s (%s) is left out: it is no ArtifactPredictor.", entry.name, entry.value)
    return None
