"""Facts in the head of a report: when, where, with which model and which libraries it was made."""

import sys
from collections.abc import Iterator
from datetime import datetime, timezone

from datarobot_drum.drum.artifact_predictors.versions import installed_version, library_versions
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.model_digest import known_digests
from datarobot_drum.drum.settings.model_identity import DIGEST_DIGITS

Fact = tuple[str, str]


def model_facts(model: ModelSettings) -> Iterator[Fact]:
    """Yield what identifies the model."""
    yield "model", f"{model.served_name}, version {model.served_version}"
    yield "digest", known_digests(model)[""][:DIGEST_DIGITS]
    yield "target type", model.target_type.value
    yield "folder", str(model.code_dir)


def run_facts() -> Iterator[Fact]:
    """Yield the time, and what the model ran on."""
    yield "date", datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    yield "versions", ", ".join(_versions())


def _versions() -> Iterator[str]:
    for library, version in library_versions().items():
        yield f"{'Python' if library == 'python' else library} {version}"
    if "scipy" in sys.modules:
        yield f"scipy {installed_version('scipy')}"
