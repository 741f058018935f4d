"""Several models in one folder: ``models:`` of model-metadata.yaml lists a name and a subfolder for each.

Each model has the settings of its entry, else those of the model-metadata.yaml in its own folder. The target type and
the target's name may also come from the command line, for models that have none.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from datarobot_drum.drum.exceptions import DrumError, StartupError, UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.model_metadata import FILE_NAME, MODELS, ModelMetadata, read_model_metadata

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""A name is the value of a header and one segment of a path."""

MODEL_HEADER = "X-Drum-Model"
"""The header of a request that picks a model, and of each response for the model that answered."""

_OWN_KEYS = ("name", "path", "default")
_LABEL_KEYS = ("positiveClassLabel", "negativeClassLabel", "classLabels")
_SETTINGS = (
    "targetType",
    "targetName",
    "targetNames",
    *_LABEL_KEYS,
    "promptColumn",
    "inputSchema",
    "typeSchema",
    "version",
)
_ONLY_OF_A_MODEL = tuple(key for key in _SETTINGS if key not in ("targetType", "version"))
_ARGUMENTS_OF_ONE_MODEL = (
    "positive_class_label",
    "negative_class_label",
    "class_labels",
    "class_labels_file",
    "deployment_config",
    "gpu_predictor",
)


@dataclasses.dataclass(frozen=True)
class RoutedEntry:
    """One entry of the list, checked: ``metadata`` holds its settings over those of its own folder."""

    name: str
    folder: Path
    is_default: bool
    metadata: ModelMetadata


def model_names(names: Sequence[str]) -> str:
    """Return names of models for a message."""
    return ", ".join(map(repr, names))


@contextmanager
def naming_model(name: str) -> Iterator[None]:
    """Let the message of every error of a start begin with the name of the model; an empty name adds nothing."""
    try:
        yield
    except DrumError as error:
        if name:
            error.args = (f"The model {name!r} of {FILE_NAME}: {error}", *error.args[1:])
        raise


def read_entries(code_dir: Path, arguments: Arguments, metadata: ModelMetadata) -> tuple[RoutedEntry, ...]:
    """Return the models that the metadata list; empty if they list none.

    Raises:
        StartupError: the list is malformed, a path is not a subfolder, or names or folders repeat.
        UsageError: an argument is given that only one model can have.
    """
    values = (metadata.document or {}).get(MODELS)
    if values is None:
        return ()
    texts = metadata.texts[MODELS]
    if not isinstance(values, list) or not values or not all(isinstance(entry, Mapping) for entry in values):
        raise StartupError(f"{MODELS} in {FILE_NAME} must be a list of models, each with a name and a path.")
    _require_no_single_model(code_dir, arguments, metadata)
    entries = tuple(_entry(code_dir, number, *pair) for number, pair in enumerate(zip(values, texts, strict=True), 1))
    _require_distinct(entries)
    return entries


def arguments_for(entry: RoutedEntry, arguments: Arguments, metadata: ModelMetadata) -> Arguments:
    """Return the arguments for one model: its own target type wins over that of the command line and the code dir."""
    target_type = None if entry.metadata.target_type else arguments.target_type or metadata.target_type
    return dataclasses.replace(arguments, target_type=target_type)


def choose_default(entries: Sequence[RoutedEntry]) -> str | None:
    """Return the name of the model for requests that name none: the default, or the only one."""
    if len(entries) == 1:
        return entries[0].name
    return next((entry.name for entry in entries if entry.is_default), None)


def choose_name(names: Sequence[str], default: str | None, name: str | None) -> str | None:
    """Return the name of the model that a command works on; None for a folder with one model, which has no names.

    Raises:
        UsageError: there is no such model, or it must be named.
    """
    if not names:
        if name:
            raise UsageError(f"--model {name} does not fit: {FILE_NAME} of the code dir lists no {MODELS}.")
        return None
    chosen = name or default
    if chosen is None:
        raise UsageError(f"The folder has several models and no default: give --model {' or '.join(names)}.")
    if chosen not in names:
        raise UsageError(f"There is no model {chosen!r}; the folder has {model_names(names)}.")
    return chosen


def _require_no_single_model(code_dir: Path, arguments: Arguments, metadata: ModelMetadata) -> None:
    """Reject what would be ignored: code beside the list, and settings and arguments of one model."""
    if (code_dir / "custom.py").is_file():
        raise StartupError(f"{FILE_NAME} lists {MODELS}, so custom.py beside it is not loaded: move it to a model.")
    document = metadata.document or {}
    inner = document.get("inferenceModel")
    for section in (document, inner if isinstance(inner, Mapping) else {}):
        for key in _ONLY_OF_A_MODEL:
            if section.get(key) is not None:
                raise StartupError(f"{FILE_NAME} lists {MODELS}, so {key} belongs to an entry of that list.")
    for name in _ARGUMENTS_OF_ONE_MODEL:
        if getattr(arguments, name):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} does not fit several models: {FILE_NAME} lists {MODELS}, with settings for each.")


def _entry(code_dir: Path, number: int, values: Mapping[str, Any], texts: Mapping[str, Any]) -> RoutedEntry:
    where = f"Entry {number} of {MODELS} in {FILE_NAME}"
    unknown = [str(key) for key in values if key not in _OWN_KEYS + _SETTINGS]
    if unknown:
        known = ", ".join(_OWN_KEYS + _SETTINGS)
        raise StartupError(f"{where} has unknown keys ({', '.join(unknown)}); known are {known}.")
    name, path, default = texts.get("name"), texts.get("path"), values.get("default", False)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise StartupError(
            f"{where} needs a name of at most 100 letters, digits, dots, hyphens and underscores that starts with a "
            f"letter or digit, not {name!r}."
        )
    if not isinstance(default, bool):
        raise StartupError(f"{where} ({name}): default must be true or false.")
    folder = _folder(code_dir, f"{where} ({name})", path)
    with naming_model(name):
        own = read_model_metadata(folder)
        _require_plain_folder(own)
        chosen = {key: value for key, value in values.items() if key in _SETTINGS and value is not None}
        return RoutedEntry(name, folder, default, own.override(chosen, {key: texts[key] for key in chosen}))


def _folder(code_dir: Path, where: str, path: Any) -> Path:
    """Return the folder of a model.

    Raises:
        StartupError: it is no subfolder of the code dir, links followed.
    """
    if not isinstance(path, str) or not path.strip():
        raise StartupError(f"{where} needs a path: the model's folder, relative to the code dir.")
    parts = PurePosixPath(path).parts
    folder = code_dir / path
    root, target = code_dir.resolve(), folder.resolve()
    is_inside = target != root and target.is_relative_to(root)
    if PurePosixPath(path).is_absolute() or ".." in parts or not is_inside:
        raise StartupError(f"{where}: the path {path!r} must be a subfolder of the code dir.")
    if not folder.is_dir():
        raise StartupError(f"{where}: {path} is not a folder. Each model needs a folder of its own.")
    return folder


def _require_plain_folder(metadata: ModelMetadata) -> None:
    document = metadata.document or {}
    if document.get(MODELS) is not None:
        raise StartupError(f"its folder lists {MODELS}, too: only the {FILE_NAME} of the code dir may.")
    if document.get("runtimeParameterDefinitions"):
        raise StartupError(
            f"its folder defines runtime parameters: define them in the {FILE_NAME} of the code dir, for all models."
        )


def _require_distinct(entries: Sequence[RoutedEntry]) -> None:
    """Reject names that differ in case only, folders that contain each other, and several defaults."""
    names = Counter(entry.name.casefold() for entry in entries)
    repeated = [entry.name for entry in entries if names[entry.name.casefold()] > 1]
    if repeated:
        raise StartupError(
            f"The names of {MODELS} in {FILE_NAME} must differ, not only in case: {model_names(repeated)}."
        )
    defaults = [entry.name for entry in entries if entry.is_default]
    if len(defaults) > 1:
        raise StartupError(f"Only one of {MODELS} in {FILE_NAME} can be the default: {model_names(defaults)}.")
    folders = [(entry.name, entry.folder.resolve()) for entry in entries]
    for name, folder in folders:
        for other, inner in folders:
            if name != other and inner.is_relative_to(folder):
                raise StartupError(
                    f"The folders of {model_names([name, other])} in {FILE_NAME} must be separate: one contains the "
                    "other, so their modules could not be told apart."
                )
