"""The class labels of a loaded model: taken from its classes where none are given, else matched to them.

Labels are matched by name. Only classes that are bare numbers may be taken by position, in ascending order.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datarobot_drum.drum.artifact_predictors.label_matching import as_label, as_number, format_labels, match_labels
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.settings.class_labels import missing_labels
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

logger = logging.getLogger(__name__)

_BINARY_CLASSES = 2
_MAX_SUGGESTED = 20
"""Maximum labels of a suggested flag: more belong into a file."""

_UNNAMED = ", and the model does not name its classes"


def estimator_classes(estimator: Any) -> Sequence[Any] | None:
    """Return ``classes_`` in the order of the probabilities; None for an estimator without it."""
    classes = getattr(estimator, "classes_", None)
    return list(classes) if isinstance(classes, np.ndarray | list | tuple) else None


def complete_labels(settings: ModelSettings, classes: Sequence[Any] | None) -> ModelSettings:
    """Return the settings with the model's classes as labels; of two the second one is positive, unless one is given.

    Raises:
        UsageError: the model does not name its classes.
        ModelLoadError: they do not fit the target type or the given label.
    """
    if not settings.target_type.has_class_labels or settings.class_labels:
        return settings
    if settings.target_type is TargetType.MULTILABEL and not _are_texts(classes):
        raise missing_labels(settings.target_type, _UNNAMED)
    found = [] if classes is None else flat_classes(classes)
    labels = tuple(_to_label(item) for item in found)
    if len(set(labels)) < len(labels) or not labels:
        raise missing_labels(settings.target_type, _UNNAMED)
    if settings.target_type is TargetType.BINARY:
        negative, positive = _complete_pair(labels, settings)
        logger.info("Class labels of the model: %r (negative), %r (positive).", negative, positive)
        return settings.with_class_labels((negative, positive))
    if settings.target_type is TargetType.MULTICLASS and len(labels) < _BINARY_CLASSES:
        raise ModelLoadError(f"The model has the only class {labels[0]!r}: a multiclass model needs several.")
    logger.info("Class labels of the model: %s.", format_labels(labels))
    return settings.with_class_labels(labels)


def _are_texts(classes: Sequence[Any] | None) -> bool:
    return bool(classes) and all(isinstance(item, str) for item in classes or ())


def _to_label(value: Any) -> str:
    """Return a class as text; a whole number stored as a float becomes an integer."""
    is_whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value)) if is_whole else as_label(value)


def _complete_pair(labels: tuple[str, ...], settings: ModelSettings) -> tuple[str, str]:
    if len(labels) != _BINARY_CLASSES:
        raise ModelLoadError(_other_class_count(labels))
    given = settings.positive_class_label or settings.negative_class_label
    if given is None:
        return labels[0], labels[1]
    matches = match_labels([given], labels)
    if not matches:
        name = "positive" if settings.positive_class_label else "negative"
        close = next((label for label in labels if _folded(label) == _folded(given)), None)
        advice = f"did you mean {_flag(name, close)}?" if close else f"give {_flags(labels)}."
        raise ModelLoadError(f"The model's classes are {format_labels(labels)}, not {given!r}: {advice}")
    other = labels[1 - matches[given]]
    return (other, given) if settings.positive_class_label else (given, other)


def order_classes(classes: Sequence[Any], settings: ModelSettings, *, numbered: bool = False) -> tuple[int, ...]:
    """Return the column of ``predict_proba`` for each label.

    Numbers that match no label are taken by position: those of a binary model in ascending order, and those of a model
    that only supports the classes 0, 1, 2 ... (``numbered``).

    Raises:
        ModelLoadError: the classes are not the labels; the message has the fitting flags.
    """
    found, labels = flat_classes(classes), settings.class_labels
    matches = match_labels(labels, found)
    if len(found) == len(labels) == len(matches):
        return tuple(matches[label] for label in labels)
    order = _order_by_position(found, settings, numbered=numbered)
    if matches or order is None:
        raise ModelLoadError(_mismatch(found, settings))
    _log_positions([found[position] for position in order], settings, "The model's classes are numbers")
    return order


def order_numbered_classes(count: int, settings: ModelSettings) -> tuple[int, ...] | None:
    """Return the column of each label for a file that has only numbers as classes, from 0 on.

    Labels that are these numbers are matched. Any others are taken in their order, for which this returns None.
    """
    labels = settings.class_labels
    matches = match_labels(labels, range(count))
    if len(matches) == len(labels) == count:
        return tuple(matches[label] for label in labels)
    if count == len(labels):
        _log_positions(range(count), settings, "The model file has no class names")
    return None


def _order_by_position(found: Sequence[Any], settings: ModelSettings, *, numbered: bool) -> tuple[int, ...] | None:
    labels = settings.class_labels
    numbers = [as_number(item) for item in found]
    if len(found) != len(labels) or any(number is None for number in numbers):
        return None
    if numbered and sorted(map(str, numbers)) == sorted(map(str, range(len(found)))):
        return tuple(sorted(range(len(found)), key=lambda position: numbers[position] or 0))
    if settings.target_type is TargetType.BINARY and not all(as_number(label) is not None for label in labels):
        return tuple(sorted(range(len(found)), key=lambda position: numbers[position] or 0))
    return None


def _log_positions(found: Sequence[Any], settings: ModelSettings, reason: str) -> None:
    labels = settings.class_labels
    roles = (" (negative)", " (positive)") if settings.target_type is TargetType.BINARY else [""] * len(labels)
    pairs = [f"{as_label(item)!r} for {label!r}{role}" for item, label, role in zip(found, labels, roles, strict=True)]
    logger.warning("%s: taking %s.", reason, ", ".join(pairs[:_MAX_SUGGESTED]))


def flat_classes(classes: Sequence[Any]) -> list[Any]:
    """Return the classes of a single target.

    Raises:
        ModelLoadError: there are several targets, which only multilabel models have.
    """
    found = list(classes)
    if any(isinstance(item, np.ndarray | list | tuple) for item in found):
        if len(found) == 1:
            return list(found[0])
        raise ModelLoadError(
            f"The estimator predicts {len(found)} targets at once; only multilabel models may do so: give "
            f"--target-type multilabel and --class-labels with {len(found)} labels."
        )
    return found


def _mismatch(found: Sequence[Any], settings: ModelSettings) -> str:
    if settings.target_type is TargetType.BINARY and len(found) != _BINARY_CLASSES:
        return _other_class_count([_to_label(item) for item in found])
    labels = [_to_label(item) for item in found]
    advice = _closest_flags(labels, settings) or f"give {_flags(labels, settings.target_type)}."
    return (
        f"The estimator's classes ({format_labels(labels)}) are not the class labels "
        f"({format_labels(settings.class_labels)}): {advice}"
    )


def _other_class_count(labels: Sequence[str]) -> str:
    if len(labels) < _BINARY_CLASSES:
        return f"The model has {len(labels)} class ({format_labels(labels)}): a binary model needs two."
    return (
        f"The model has {len(labels)} classes ({format_labels(labels)}), and a binary model has two: give "
        f"--target-type multiclass {_flags(labels, TargetType.MULTICLASS)}."
    )


def _closest_flags(classes: Sequence[str], settings: ModelSettings) -> str | None:
    """Return a question with the classes that equal the labels but for case, blanks and the other class of a pair."""
    keys = [_folded(item) for item in classes]
    close = [classes[keys.index(key)] if (key := _folded(label)) in keys else None for label in settings.class_labels]
    if settings.target_type is TargetType.BINARY and close.count(None) == 1:
        known = next(item for item in close if item is not None)
        close = [item if item is not None else next(other for other in classes if other != known) for item in close]
    chosen = [item for item in close if item is not None]
    if not len(set(chosen)) == len(classes) == len(close):
        return None
    return f"did you mean {_flags(chosen, settings.target_type).removesuffix(_EITHER_WAY)}?"


_EITHER_WAY = " (or the other way round)"


def _flags(labels: Sequence[str], target_type: TargetType = TargetType.BINARY) -> str:
    """Return the flags that give these labels, ready to copy."""
    if target_type is TargetType.BINARY:
        return f"{_flag('negative', labels[0])} {_flag('positive', labels[1])}{_EITHER_WAY}"
    quoted = [shlex.quote(label) for label in labels]
    if len(quoted) > _MAX_SUGGESTED:
        return f"--class-labels-file with the {len(quoted)} classes"
    return f"--class-labels {' '.join(quoted)}"


def _flag(name: str, label: str) -> str:
    """Return the flag of one label, with a separator that also suits a negative number."""
    return f"--{name}-class-label{'=' if label.startswith('-') else ' '}{shlex.quote(label)}"


def _folded(label: str) -> str:
    return " ".join(label.split()).casefold()
