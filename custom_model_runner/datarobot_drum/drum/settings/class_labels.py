"""The class labels of a model, from arguments, else from model-metadata.yaml. Labels are always text."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.model_metadata import ModelMetadata
from datarobot_drum.drum.settings.target_types import TargetType

_MIN_CLASSES = 2


@dataclass(frozen=True)
class ClassLabels:
    """The labels in the order of the output columns; binary models have the negative one first."""

    all: tuple[str, ...] = ()
    positive: str | None = None
    negative: str | None = None


def find_class_labels(target_type: TargetType, arguments: Arguments, metadata: ModelMetadata) -> ClassLabels:
    """Return the labels that the target type requires; others are ignored.

    Raises:
        UsageError: labels are missing, duplicated, or given in two ways.
    """
    if not target_type.has_class_labels:
        return ClassLabels()
    if target_type is TargetType.BINARY:
        return _binary(arguments, metadata)
    labels = _listed(arguments) or metadata.class_labels
    minimum = _MIN_CLASSES if target_type is TargetType.MULTICLASS else 1
    if len(labels) < minimum:
        raise UsageError(
            f"A {target_type.value} model needs at least {minimum} class label(s): give --class-labels or "
            "--class-labels-file, or classLabels in model-metadata.yaml."
        )
    _reject_duplicates(labels)
    return ClassLabels(labels)


def _binary(arguments: Arguments, metadata: ModelMetadata) -> ClassLabels:
    positive = arguments.positive_class_label or metadata.positive_class_label
    negative = arguments.negative_class_label or metadata.negative_class_label
    if not positive or not negative:
        raise UsageError(
            "A binary model needs two class labels: give --positive-class-label and --negative-class-label, "
            "or positiveClassLabel and negativeClassLabel in model-metadata.yaml."
        )
    _reject_duplicates((negative, positive))
    return ClassLabels((negative, positive), positive=positive, negative=negative)


def _listed(arguments: Arguments) -> tuple[str, ...]:
    if arguments.class_labels and arguments.class_labels_file:
        raise UsageError("Give either --class-labels or --class-labels-file, not both.")
    if arguments.class_labels_file:
        return _read_file(Path(arguments.class_labels_file))
    return arguments.class_labels or ()


def _read_file(path: Path) -> tuple[str, ...]:
    """Return one label per line, stripped; empty lines are skipped."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"--class-labels-file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--class-labels-file {path} is not UTF-8 text.") from error
    labels = tuple(label for line in lines if (label := line.strip()))
    if not labels:
        raise UsageError(f"--class-labels-file {path} holds no label.")
    return labels


def _reject_duplicates(labels: Sequence[str]) -> None:
    duplicates = [label for label, count in Counter(labels).items() if count > 1]
    if duplicates:
        raise UsageError(f"Class labels must differ; given twice: {', '.join(map(repr, duplicates))}.")
