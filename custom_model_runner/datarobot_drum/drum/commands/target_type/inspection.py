"""Load the model of a folder and print the target type that it shows plainly, as JSON.

Plain are fitted estimators, and a ``custom.py`` whose only predicting hook fits one target type. Nothing is guessed.
"""

from __future__ import annotations

import ast
import json
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from datarobot_drum.drum.artifact_predictors import transformers
from datarobot_drum.drum.artifact_predictors.estimator_kind import (
    CLASSIFIER,
    OUTLIER_DETECTOR,
    REGRESSOR,
    find_kind,
    find_last_step,
)
from datarobot_drum.drum.artifact_predictors.label_matching import format_labels
from datarobot_drum.drum.artifact_predictors.registry import (
    find_predictor,
    list_artifacts,
    list_unnamed_artifacts,
    load_artifact,
)
from datarobot_drum.drum.commands.standard_output import reserve_stdout
from datarobot_drum.drum.error_text import one_line
from datarobot_drum.drum.language_predictors.checksums import check_folder
from datarobot_drum.drum.language_predictors.custom_module import find_custom_file, import_custom_file
from datarobot_drum.drum.language_predictors.misspelt_hooks import misspelt_hooks
from datarobot_drum.drum.settings.build import arguments_from_environment, build_model_settings
from datarobot_drum.drum.settings.load_policy import PicklePolicy
from datarobot_drum.drum.settings.target_types import TargetType

_UNSTRUCTURED_HOOK = "score_unstructured"
_CHAT_HOOKS = frozenset({"chat", "complete", "embed", "respond"})
_TABLE_HOOKS = frozenset({"score", "score_stream", "post_process", "load_model"})
_BINARY_CLASSES = 2
_MAX_REASON = 200


class NotPlain(Exception):
    """The model does not show its target type; the message says why."""


def main() -> None:
    """Print the target type of the model, or the reason why it is not plain."""
    logging.disable()
    with reserve_stdout() as output:
        try:
            arguments = replace(arguments_from_environment(), target_type=TargetType.UNSTRUCTURED.value)
            settings = build_model_settings(arguments)
            target_type, model = inspect_folder(settings.code_dir, settings.pickle_policy)
            found = {"target_type": target_type.value, "model": model}
        except NotPlain as reason:
            found = {"reason": str(reason)}
        except Exception as error:  # model code may raise anything, and the start reports it better
            found = {"reason": one_line(str(error), _MAX_REASON)}
        output.write(json.dumps(found).encode())
        output.flush()
        os._exit(os.EX_OK)  # threads of the model do not keep this process


def inspect_folder(folder: Path, policy: PicklePolicy) -> tuple[TargetType, str]:
    """Return the target type, and the description of the model that shows it.

    Raises:
        NotPlain: the model does not show its target type.
    """
    check_folder(folder)
    custom_file = find_custom_file(folder)
    hooks = _function_names(custom_file) if custom_file else frozenset()
    if _UNSTRUCTURED_HOOK in hooks and not hooks & (_CHAT_HOOKS | _TABLE_HOOKS - {"load_model"}):
        return TargetType.UNSTRUCTURED, f"its hook {_UNSTRUCTURED_HOOK}"
    if hooks & _CHAT_HOOKS:
        raise NotPlain("a custom.py with a chat hook is textgeneration or agenticworkflow")
    if hooks & _TABLE_HOOKS:
        raise NotPlain(f"custom.py has the hook {min(hooks & _TABLE_HOOKS)}, which fits several types")
    artifacts = list_artifacts(folder) or list_unnamed_artifacts(folder)
    if custom_file and not artifacts:
        raise NotPlain("; ".join(misspelt_hooks(hooks)) or "custom.py has none of the hooks that predict")
    if len(artifacts) != 1:
        raise NotPlain("the folder holds no model file" if not artifacts else "the folder holds several model files")
    custom = None
    if custom_file is not None:
        sys.path[:0] = [str(custom_file.parent), str(folder)]
        custom = import_custom_file(custom_file, folder)
    return classify(load_artifact(artifacts[0], custom, policy))


def classify(model: Any) -> tuple[TargetType, str]:
    """Return the target type of a loaded model, and its description.

    Raises:
        NotPlain: its kind is not known, or several types fit it.
    """
    name = type(find_last_step(model)).__name__
    predictor = find_predictor(model)
    if predictor is None:
        if transformers.is_transformer(model):
            return TargetType.TRANSFORM, f"a fitted {name}"
        raise NotPlain(f"the model is a {name}")
    kind = find_kind(model)
    if kind == CLASSIFIER:
        return _classify_classes(name, predictor.class_names(model))
    if kind == REGRESSOR:
        return TargetType.REGRESSION, f"a fitted {name}"
    if kind == OUTLIER_DETECTOR:
        return TargetType.ANOMALY, f"a fitted {name}"
    raise NotPlain(f"the model is a {name}, whose kind is not known")


def _classify_classes(name: str, classes: Any) -> tuple[TargetType, str]:
    found = [] if classes is None else list(classes)
    if len(found) < _BINARY_CLASSES or any(hasattr(item, "__len__") and not isinstance(item, str) for item in found):
        raise NotPlain(f"the {name} does not name the classes of a single target")
    target_type = TargetType.BINARY if len(found) == _BINARY_CLASSES else TargetType.MULTICLASS
    return target_type, f"a fitted {name} with the classes {format_labels([str(item) for item in found])}"


def _function_names(file: Path) -> frozenset[str]:
    """Return the names of the functions at the top level of a Python file.

    Raises:
        NotPlain: the file is no Python.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        place = f", line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else f": {error}"
        raise NotPlain(f"{file.name}{place}") from None
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


if __name__ == "__main__":
    main()
