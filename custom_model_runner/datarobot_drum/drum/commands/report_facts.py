"""Facts in the head of a report: when, where, with which model and which libraries it was made."""

import platform
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, packages_distributions, version

from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.model_digest import known_digests
from datarobot_drum.drum.settings.model_identity import DIGEST_DIGITS
from datarobot_drum.version import __version__

Fact = tuple[str, str]

_LIBRARIES = (
    *("sklearn", "xgboost", "lightgbm", "catboost", "onnxruntime", "torch", "tensorflow", "keras", "transformers"),
    *("skops", "mlflow", "spacy", "statsmodels", "numpy", "pandas", "scipy"),
)
"""Packages whose versions may change predictions; those that are imported are listed."""


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
    yield f"datarobot_drum {__version__}"
    yield f"Python {platform.python_version()}"
    names = packages_distributions()
    for module in _LIBRARIES:
        if module in sys.modules:
            package = names.get(module, [module])[0]
            try:
                yield f"{package} {version(package)}"
            except PackageNotFoundError:  # a module without metadata, such as a copy beside the code
                continue
