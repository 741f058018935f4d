"""The document of ``--deployment-config``, which describes a deployment of the model.

Accepted are the JSON responses of the platform's public API for a deployment (``model.targetName``,
``model.targetType``, ``approvalStatus``) and for a model package (``target.name``, ``target.type``,
``target.classNames``, ``target.predictionThreshold``), and the same names at the top level. Everything else is
ignored.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.target_types import TargetType

FLAG = "--deployment-config"
DEFAULT_THRESHOLD = 0.5

_NAMES_IN_TARGET = {"targetName": "name", "targetType": "type"}


@dataclass(frozen=True)
class DeploymentConfig:
    """The values of the document that appear in responses.

    ``threshold`` is the minimum probability, 0 to 1, at which a label applies. ``approval_status`` is passed
    through. ``class_labels`` are only compared with those of the model.
    """

    target_name: str | None = None
    threshold: float = DEFAULT_THRESHOLD
    approval_status: str | None = None
    class_labels: tuple[str, ...] = ()

    def require_labels(self, class_labels: tuple[str, ...]) -> None:
        """Require the labels of the document, if it has any and the model's are known.

        Raises:
            UsageError: the model has other labels.
        """
        if self.class_labels and class_labels and set(self.class_labels) != set(class_labels):
            raise UsageError(
                f"{FLAG} has the class labels {', '.join(self.class_labels)}, but this model has "
                f"{', '.join(class_labels)}."
            )


def read_deployment_config(path: Path, target_type: TargetType, class_labels: tuple[str, ...]) -> DeploymentConfig:
    """Read the document and check that it describes this model.

    Raises:
        UsageError: the file cannot be read, or describes another model.
    """
    document = _Document(path, _read(path))
    declared = document.text("targetType")
    if declared is not None and _normalized(declared) != target_type.value:
        raise UsageError(f"{FLAG} {path} is of a {declared} model, but this model is of type {target_type.value}.")
    config = DeploymentConfig(
        target_name=document.text("targetName"),
        threshold=document.threshold("predictionThreshold"),
        approval_status=document.text("approvalStatus"),
        class_labels=tuple(document.labels("classNames") or ()),
    )
    config.require_labels(class_labels)
    return config


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{FLAG} {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError, too
        raise UsageError(f"{FLAG} {path} is not a JSON document.") from error
    if not isinstance(document, Mapping):
        raise UsageError(f"{FLAG} {path} must hold a JSON object.")
    return document


@dataclass(frozen=True)
class _Document:
    """Access to values by name, in any of the sections; null counts as absent."""

    path: Path
    values: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        value = self._find(name)
        if value is not None and not isinstance(value, str):
            raise self._error(name, "text")
        return value or None

    def labels(self, name: str) -> list[str] | None:
        value = self._find(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str | int | float) for item in value):
            raise self._error(name, "a list of labels")
        return [str(int(item)) if isinstance(item, float) and item.is_integer() else str(item) for item in value]

    def threshold(self, name: str) -> float:
        value = self._find(name)
        if value is None:
            return DEFAULT_THRESHOLD
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self._error(name, "a number from 0 to 1")
        return float(value)

    def _find(self, name: str) -> Any:
        target = self._section("target")
        places = [(target, _NAMES_IN_TARGET.get(name, name)), (target, name), (self._section("model"), name)]
        found = (section.get(key) for section, key in [*places, (self.values, name)])
        return next((value for value in found if value is not None), None)

    def _section(self, name: str) -> Mapping[str, Any]:
        section = self.values.get(name)
        return section if isinstance(section, Mapping) else {}

    def _error(self, name: str, wanted: str) -> UsageError:
        return UsageError(f"{name} in {FLAG} {self.path} must be {wanted}.")


def _normalized(target_type: str) -> str:
    """Return ``textgeneration`` for ``Text Generation`` and ``TextGeneration``."""
    return "".join(letter for letter in target_type.lower() if letter.isalnum())
