"""Frameworks that other packages bring: classes that they name in the entry point group of this module."""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from datarobot_drum.drum.artifact_predictors.base import ArtifactPredictor

GROUP = "datarobot_drum.artifact_predictors"

logger = logging.getLogger(__name__)


@cache
def plugin_predictors() -> tuple[ArtifactPredictor, ...]:
    """One predictor of each class, by the name of its entry point; one that cannot be had is logged and left out."""
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    return tuple(predictor for entry in found if (predictor := _create(entry)) is not None)


def _create(entry: EntryPoint) -> ArtifactPredictor | None:
    try:
        predictor = entry.load()()
    except Exception as error:  # a stranger's code; models of other kinds do not need it
        logger.warning("The plug-in %s (%s) is left out: %s: %s", entry.name, entry.value, type(error).__name__, error)
        return None
    if isinstance(predictor, ArtifactPredictor):
        return predictor
    logger.warning("The plug-in %s (%s) is left out: it is no ArtifactPredictor.", entry.name, entry.value)
    return None
