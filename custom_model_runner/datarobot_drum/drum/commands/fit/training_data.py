"""Training data: features, target, weights, and class labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from datarobot_drum.drum.artifact_predictors.features import is_sparse
from datarobot_drum.drum.artifact_predictors.label_matching import as_label, format_labels, match_labels
from datarobot_drum.drum.commands.input_file import input_path
from datarobot_drum.drum.commands.samples import read_samples
from datarobot_drum.drum.exceptions import CommandError, UsageError
from datarobot_drum.drum.input_schema.columns import TEXT, InputSchema
from datarobot_drum.drum.input_schema.conform import conform
from datarobot_drum.drum.input_schema.declaration import read_input_schema
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.model_metadata import ModelMetadata
from datarobot_drum.drum.settings.target_types import TargetType

Target = Any
"""A Series, or for multilabel a DataFrame with a column per label."""

_SUPERVISED = frozenset({TargetType.REGRESSION, TargetType.BINARY, TargetType.MULTICLASS, TargetType.MULTILABEL})
_BINARY_CLASSES = 2


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Rows to train on. ``target`` is None without one, as for anomaly models."""

    features: pd.DataFrame
    target: Target | None
    row_weights: pd.Series | None


def read_training_data(arguments: Arguments, target_type: TargetType, metadata: ModelMetadata) -> TrainingData:
    """Read the input, with the types that model-metadata.yaml declares, and separate target and weights from it.

    Raises:
        UsageError: a file or a required argument is missing.
        UnprocessableInput, CommandError: a file cannot be read, or lacks a column.
        CommandError: the target does not fit the target type.
    """
    _check_arguments(arguments, target_type)
    features = _read_features(arguments, metadata)
    target: Target | None = None
    if arguments.target:
        features, target = _pop_column(features, arguments.target, "--target")
    elif arguments.target_csv:
        target = _read_target(arguments.target_csv, len(features), target_type)
    weights = None
    if arguments.row_weights:
        features, weights = _pop_column(features, arguments.row_weights, "--row-weights")
    if not len(features.columns):
        raise CommandError("The input has no columns left to learn from.")
    if target is not None:
        _check_target(target, target_type)
    return TrainingData(features, target, weights)


def _check_arguments(arguments: Arguments, target_type: TargetType) -> None:
    if target_type is TargetType.UNSTRUCTURED:
        raise UsageError("drum fit trains on rows: an unstructured model has none.")
    if arguments.target and arguments.target_csv:
        raise UsageError("Give either --target or --target-csv, not both.")
    if target_type is TargetType.MULTILABEL and not arguments.target_csv:
        raise UsageError("A multilabel model has a target of one column a label: give --target-csv.")
    if target_type in _SUPERVISED and not arguments.target and not arguments.target_csv:
        raise UsageError(f"A {target_type.value} model is trained on a target: give --target or --target-csv.")


def _read_features(arguments: Arguments, metadata: ModelMetadata) -> pd.DataFrame:
    """Read the input as the trained model's requests are read: the cells of text columns as they are written.

    Text columns are found by a first reading. The second one takes none of their words for a missing value.
    """
    path, declared = input_path(arguments), read_input_schema(metadata.document)
    table = read_samples(path, text=InputSchema(declared=declared))
    if is_sparse(table):
        return table
    other = {arguments.target, arguments.row_weights, *declared}
    texts = [str(name) for name in table.columns if name not in other and _is_text(table[name])]
    schema = InputSchema(declared={**dict.fromkeys(texts, TEXT), **declared})
    return conform(schema, read_samples(path, text=schema) if texts else table)


def _is_text(column: pd.Series) -> bool:
    return bool(pd.api.types.infer_dtype(column, skipna=True) == "string")


def _pop_column(table: pd.DataFrame, name: str, flag: str) -> tuple[pd.DataFrame, pd.Series]:
    if name not in table.columns:
        raise CommandError(f"{flag}: the input has no column {name!r}; its columns are {format_labels(table.columns)}.")
    return table.drop(columns=name), table[name]


def _read_target(file: str, rows: int, target_type: TargetType) -> Target:
    path = Path(file).absolute()
    if not path.is_file():
        raise UsageError(f"--target-csv {file} is not a file.")
    table = read_samples(path)
    if len(table) != rows:
        raise CommandError(f"--target-csv has {len(table)} rows for {rows} rows of input.")
    if target_type is TargetType.MULTILABEL:
        return table
    if len(table.columns) != 1:
        raise CommandError(
            f"--target-csv has {len(table.columns)} columns: a {target_type.value} model has one target."
        )
    return table.iloc[:, 0]


def _check_target(target: Target, target_type: TargetType) -> None:
    missing = int(target.isna().to_numpy().sum())
    if missing:
        raise CommandError(f"The target has {missing} missing values: leave out the rows that have none.")
    if target_type is TargetType.REGRESSION and not pd.api.types.is_numeric_dtype(target.dtype):
        raise CommandError(f"The target of a regression model must be numbers, not {target.iloc[0]!r:.60}.")


def add_class_labels(
    arguments: Arguments, metadata: ModelMetadata, target_type: TargetType, target: Target | None
) -> Arguments:
    """Return the arguments with the target's class labels if neither they nor model-metadata.yaml have any.

    Classes are in ascending order, as in scikit-learn: the second of two is the positive one, unless one is given.

    Raises:
        CommandError: a binary target does not have two classes.
    """
    if target is None or not target_type.has_class_labels:
        return arguments
    if target_type is not TargetType.BINARY:
        is_given = arguments.class_labels or arguments.class_labels_file or metadata.class_labels
        return arguments if is_given else replace(arguments, class_labels=tuple(_labels(target)))
    positive = arguments.positive_class_label or metadata.positive_class_label
    negative = arguments.negative_class_label or metadata.negative_class_label
    if not (positive and negative):
        negative, positive = _complete_pair(_labels(target), negative, positive)
    return replace(arguments, positive_class_label=positive, negative_class_label=negative)


def _complete_pair(found: list[str], negative: str | None, positive: str | None) -> tuple[str, str]:
    if len(found) != _BINARY_CLASSES:
        raise CommandError(f"The target of a binary model has two classes; this one has {format_labels(found)}.")
    matches = match_labels([label for label in (negative, positive) if label], found)
    if negative and negative in matches:
        return negative, found[1 - matches[negative]]
    if positive and positive in matches:
        return found[1 - matches[positive]], positive
    if negative or positive:
        raise CommandError(f"The target has the classes {format_labels(found)}, not {negative or positive!r}.")
    return found[0], found[1]


def _labels(target: Target) -> list[str]:
    if isinstance(target, pd.DataFrame):
        return [as_label(name) for name in target.columns]
    return [as_label(value) for value in _classes(target)]


def _classes(target: pd.Series) -> list[Any]:
    """Return the distinct values in ascending order; whole numbers stored as floats become int."""
    values = list(target.unique())
    if pd.api.types.is_float_dtype(target.dtype) and all(float(value).is_integer() for value in values):
        values = [int(value) for value in values]
    try:
        return sorted(values)
    except TypeError:  # mixed types
        return sorted(values, key=as_label)


def to_declared_labels(target: Target | None, labels: Sequence[str]) -> Target | None:
    """Return the target with the declared class labels as values: text, so that a hook may compare them.

    The columns of a multilabel target are ordered as the labels.

    Raises:
        CommandError: the target has a class that is not a label, or lacks a label's column.
    """
    if target is None or not labels:
        return target
    is_table = isinstance(target, pd.DataFrame)
    found = list(target.columns) if is_table else _classes(target)
    matches = match_labels(labels, found)
    unknown = [value for position, value in enumerate(found) if position not in matches.values()]
    if unknown:
        raise CommandError(
            f"The target has {format_labels(unknown)}, but the class labels are {format_labels(labels)}."
        )
    if is_table:
        absent = [label for label in labels if label not in matches]
        if absent:
            raise CommandError(f"The target has no column for the class label {format_labels(absent)}.")
        table = target.iloc[:, [matches[label] for label in labels]]
        return table.set_axis(list(labels), axis=1)
    return target.map({found[position]: label for label, position in matches.items()})
