"""Sentences about settings that have no effect or no meaning, for the log of a start and for ``drum config``."""

from collections.abc import Iterator

from datarobot_drum.drum.settings.build import Settings
from datarobot_drum.drum.settings.effective import without_effect
from datarobot_drum.drum.settings.environment import unknown_variables
from datarobot_drum.drum.settings.metadata_keys import misspelt_keys
from datarobot_drum.runtime_parameters.origins import DEFAULT, Source

REPORTING_FLAGS = ("--monitor-embedded", "--webserver", "--api-token", "--deployment-id", "--model-id")
"""Accepted, so that command lines of deployments go on working."""


def start_warnings(settings: Settings) -> tuple[str, ...]:
    """Return a sentence for each setting that is given and not used."""
    return tuple(
        dict.fromkeys(
            [
                *settings.platform.warnings,
                *unknown_variables(settings.defined_parameters),
                *without_effect(settings),
                *_reporting(settings),
                *_metadata_keys(settings),
            ]
        )
    )


def _reporting(settings: Settings) -> Iterator[str]:
    origins = [settings.origins.get(flag, DEFAULT) for flag in REPORTING_FLAGS]
    given = [origin.name for origin in origins if origin.source is not Source.DEFAULT]
    if given:
        yield (
            f"No effect: {', '.join(given)}. This server sends no reports to DataRobot; that needs an agent of its own."
        )


def _metadata_keys(settings: Settings) -> Iterator[str]:
    yield from misspelt_keys(settings.model.metadata)
    for model in settings.model.models:
        yield from misspelt_keys(model.metadata)
