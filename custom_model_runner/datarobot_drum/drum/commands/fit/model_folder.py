"""A trained model as a folder that can be served: its artifacts, the code and the metadata."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from datarobot_drum.drum.artifact_predictors.features import is_sparse
from datarobot_drum.drum.artifact_predictors.file_detection import pickled_modules
from datarobot_drum.drum.artifact_predictors.frameworks import FRAMEWORKS
from datarobot_drum.drum.artifact_predictors.registry import list_artifacts, list_unnamed_artifacts
from datarobot_drum.drum.artifact_predictors.requirements_file import write_requirements
from datarobot_drum.drum.exceptions import CommandError, UsageError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.input_schema.declaration import declare_columns
from datarobot_drum.drum.process.signals import cleanup_on_signals
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.model_metadata import FILE_NAME, INPUT_SCHEMA, ModelMetadata, read_model_metadata
from datarobot_drum.drum.settings.target_types import TargetType

_SKIPPED = (".", "__pycache__")


def output_folder(output: str | None) -> Path:
    """Return the path of the trained model.

    Raises:
        UsageError: the flag is missing, or the folder is not empty.
    """
    if not output:
        raise UsageError("--output is missing: give the flag or the variable OUTPUT.")
    folder = Path(output).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--output {output} is there already: name a new or an empty folder.")
    return folder


@contextmanager
def atomic_output_folder(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder beside the final one; rename it at the end, or remove it after an error.

    Raises:
        CommandError: the folder cannot be written.
    """
    staging = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
    except OSError as error:
        raise CommandError(f"--output {folder} cannot be written: {error.strerror}.") from error
    with cleanup_on_signals(lambda: shutil.rmtree(staging, ignore_errors=True)):
        try:
            yield staging
            staging.replace(folder)
        except OSError as error:
            raise CommandError(f"--output {folder} cannot be written: {error.strerror}.") from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def add_code(code_dir: Path, folder: Path, *, exclude: frozenset[Path], with_artifacts: bool) -> None:
    """Copy the code dir, except hidden files, files that ``fit`` has written under the same name, and ``exclude``.

    Older artifacts are not copied unless a ``load_model`` hook may need them: a folder must have one artifact.
    """
    excluded = exclude if with_artifacts else exclude.union(list_artifacts(code_dir))
    for entry in sorted(code_dir.iterdir()):
        target = folder / entry.name
        if entry in excluded or target.exists() or entry.name.startswith(_SKIPPED):
            continue
        if entry.is_dir():
            shutil.copytree(entry, target, ignore=_ignore(exclude | {folder}))
        else:
            shutil.copy2(entry, target)


def _ignore(exclude: frozenset[Path]) -> Any:
    def ignored(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name.startswith(_SKIPPED) or Path(folder, name) in exclude]

    return ignored


def add_requirements(folder: Path) -> None:
    """Write ``requirements.txt`` with the versions of the frameworks that training used, unless there is one."""
    artifacts = list_artifacts(folder) or list_unnamed_artifacts(folder)
    pickled = {module for artifact in artifacts for module in pickled_modules(artifact)}
    imported = {module for framework in FRAMEWORKS for module in framework.modules} & sys.modules.keys()
    write_requirements(folder, pickled | imported | {"numpy", "pandas"})


def add_metadata(folder: Path, model: ModelSettings, target_name: str | None, features: pd.DataFrame) -> None:
    """Write what serving needs into ``model-metadata.yaml``, so that it takes no flags.

    Types of columns that the file declares are kept. If only types are missing, they are appended to the file of the
    code dir. If more is missing, the file is rewritten, without its comments.
    """
    metadata = read_model_metadata(folder)
    declared = dict((metadata.document or {}).get(INPUT_SCHEMA) or {})
    input_schema = declared if is_sparse(features) else {**declare_columns(features), **declared}
    is_complete = _has_target(metadata, model)
    if is_complete and input_schema == declared:
        return
    path, dump = folder / FILE_NAME, import_from_string("yaml:safe_dump")
    if is_complete and _append(path, dump({INPUT_SCHEMA: input_schema}, sort_keys=False, allow_unicode=True)):
        return
    document = dict(metadata.document or {"name": model.code_dir.name, "type": "inference"})
    document |= {"targetType": model.target_type.value, **_inference_section(document, model, target_name)}
    if input_schema:
        document[INPUT_SCHEMA] = input_schema
    path.write_text(dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _has_target(metadata: ModelMetadata, model: ModelSettings) -> bool:
    """Return True if the file has the target type and the labels of the model."""
    labels = () if model.target_type is TargetType.BINARY else model.class_labels
    return (
        metadata.target_type == model.target_type.value
        and metadata.positive_class_label == model.positive_class_label
        and metadata.negative_class_label == model.negative_class_label
        and metadata.class_labels == labels
    )


def _append(path: Path, section: str) -> bool:
    """Append a new section to a YAML file, which keeps its comments; return False if its style has no room for it."""
    text = path.read_text(encoding="utf-8")
    is_block = not text.lstrip().startswith("{") and "\n..." not in text
    if not is_block or INPUT_SCHEMA in text:
        return False
    path.write_text(f"{text.rstrip()}\n{section}", encoding="utf-8")
    return True


def _inference_section(document: Mapping[str, Any], model: ModelSettings, target_name: str | None) -> dict[str, Any]:
    labels = () if model.target_type is TargetType.BINARY else model.class_labels
    values = {
        "targetName": model.target_name or target_name,
        "positiveClassLabel": model.positive_class_label,
        "negativeClassLabel": model.negative_class_label,
        "classLabels": list(labels),
    }
    section = {**(document.get("inferenceModel") or {}), **{key: value for key, value in values.items() if value}}
    return {"inferenceModel": section} if section else {}
