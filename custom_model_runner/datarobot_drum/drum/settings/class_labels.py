"""The class labels of a model, from arguments, else from model-metadata.yaml. Labels are always text.

Labels that neither has are taken from the model itself when it is loaded.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.model_metadata import ModelMetadata
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.runtime_parameters.origins import Origin, Source

logger = logging.getLogger(__name__)

_MIN_CLASSES = 2


@dataclass(frozen=True)
class ClassLabels:
    """The labels in the order of the output columns; binary models have the negative one first.

    ``all`` is empty if the model itself must complete them. ``origins`` are those of labels from model-metadata.yaml,
    by the flag that would replace them.
    """

    all: tuple[str, ...] = ()
    positive: str | None = None
    negative: str | None = None
    origins: Mapping[str, Origin] = field(default_factory=dict)


def find_class_labels(target_type: TargetType, arguments: Arguments, metadata: ModelMetadata) -> ClassLabels:
    """Return the given labels of the target type; others are ignored with a warning.

    Raises:
        UsageError: there are too few labels, or labels are duplicated or given in two ways.
    """
    _warn_of_unused_labels(target_type, arguments, metadata)
    if not target_type.has_class_labels:
        return ClassLabels()
    if target_type is TargetType.BINARY:
        return _binary(arguments, metadata)
    listed = _listed(arguments)
    labels = listed or metadata.class_labels
    if labels and len(labels) < _min_classes(target_type):
        raise missing_labels(target_type)
    _reject_duplicates(labels)
    return ClassLabels(labels, origins={} if listed or not labels else _of_metadata("--class-labels", "classLabels"))


def missing_labels(target_type: TargetType, reason: str = "") -> UsageError:
    """Return the error that says how to give the labels of a model; ``reason`` says why it does not name them."""
    if target_type is TargetType.BINARY:
        return UsageError(
            f"A binary model needs two class labels{reason}: give --positive-class-label and --negative-class-label, "
            "or positiveClassLabel and negativeClassLabel in model-metadata.yaml."
        )
    return UsageError(
        f"A {target_type.value} model needs at least {_min_classes(target_type)} class label(s){reason}: give "
        "--class-labels or --class-labels-file, or classLabels in model-metadata.yaml."
    )


def _min_classes(target_type: TargetType) -> int:
    return 1 if target_type is TargetType.MULTILABEL else _MIN_CLASSES


def _binary(arguments: Arguments, metadata: ModelMetadata) -> ClassLabels:
    positive = arguments.positive_class_label or metadata.positive_class_label
    negative = arguments.negative_class_label or metadata.negative_class_label
    origins: dict[str, Origin] = {}
    if positive and not arguments.positive_class_label:
        origins |= _of_metadata("--positive-class-label", "positiveClassLabel")
    if negative and not arguments.negative_class_label:
        origins |= _of_metadata("--negative-class-label", "negativeClassLabel")
    if not positive or not negative:
        return ClassLabels(positive=positive, negative=negative, origins=origins)
    _reject_duplicates((negative, positive))
    return ClassLabels((negative, positive), positive=positive, negative=negative, origins=origins)


def _of_metadata(flag: str, key: str) -> dict[str, Origin]:
    return {flag: Origin(Source.METADATA, key)}


def _warn_of_unused_labels(target_type: TargetType, arguments: Arguments, metadata: ModelMetadata) -> None:
    binary = {
        "--positive-class-label": arguments.positive_class_label,
        "--negative-class-label": arguments.negative_class_label,
        "positiveClassLabel": metadata.positive_class_label,
        "negativeClassLabel": metadata.negative_class_label,
    }
    listed = {
        "--class-labels": arguments.class_labels,
        "--class-labels-file": arguments.class_labels_file,
        "classLabels": metadata.class_labels,
    }
    is_binary = target_type is TargetType.BINARY
    unused = listed if is_binary else binary if target_type.has_class_labels else binary | listed
    given = [name for name, value in unused.items() if value]
    if given:
        advice = "; its labels are positive and negative class label" if is_binary else ""
        logger.warning("No effect on a %s model: %s%s.", target_type.value, ", ".join(given), advice)


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
