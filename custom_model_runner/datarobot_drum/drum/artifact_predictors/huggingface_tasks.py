"""What a pipeline of transformers predicts for the rows of a table.

====================  ===============================================================================
text-classification   binary, multiclass: softmax; multilabel: sigmoid; regression: a model with one output
zero-shot             the same, if the model has the label ``entailment`` and others are declared
image-classification  as text-classification, for a column of Base64 images
text-generation       textgeneration, and chat (``huggingface_generation``)
feature-extraction    transform: the mean of the features of all tokens
====================  ===============================================================================

Bodies of any media type (unstructured) are served for every task by ``huggingface_requests``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import transformers

from datarobot_drum.drum.artifact_predictors.huggingface_inputs import checked_texts, decode_base64_image
from datarobot_drum.drum.artifact_predictors.label_matching import match_labels
from datarobot_drum.drum.artifact_predictors.model_labels import order_classes
from datarobot_drum.drum.cancellation import stop_if_cancelled
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

TEXT_CLASSIFICATION = "text-classification"
TOKEN_CLASSIFICATION = "token-classification"
IMAGE_CLASSIFICATION = "image-classification"
FEATURES = "feature-extraction"
GENERATION = "text-generation"

_TASKS = {
    "ForSequenceClassification": TEXT_CLASSIFICATION,
    "ForTokenClassification": TOKEN_CLASSIFICATION,
    "ForImageClassification": IMAGE_CLASSIFICATION,
    "ForCausalLM": GENERATION,
    "LMHeadModel": GENERATION,
    "Model": FEATURES,
}
"""Task by the end of the name of an architecture, in search order."""

_MULTILABEL = "multi_label_classification"
_UNNAMED = re.compile(r"LABEL_(\d+)")
_ENTAILMENT = "entail"


def task_of(config: Any, name: str) -> str:
    """Return the task of a model folder by its architecture.

    Raises:
        ModelLoadError: the architecture is missing, or its task is not served.
    """
    architectures = config.get("architectures") if isinstance(config, dict) else None
    architecture = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    task = next((task for ending, task in _TASKS.items() if architecture.endswith(ending)), None)
    if task is None:
        found = f"the architecture {architecture}" if architecture else "no architecture"
        raise ModelLoadError(
            f"{name} names {found} in config.json, and these tasks are served: {', '.join(_TASKS.values())}. Add a "
            "custom.py with load_model and score hooks."
        )
    return task


def label_names(pipeline: Any) -> list[str]:
    """Return the classes of a model in the order of its outputs."""
    names: dict[int, str] = pipeline.model.config.id2label
    return [str(names[number]) for number in sorted(names)]


def is_zero_shot(pipeline: Any, settings: ModelSettings) -> bool:
    """Return True for a model of entailment whose labels are not those of the target."""
    labels, names = settings.class_labels, label_names(pipeline)
    has_entailment = any(name.lower().startswith(_ENTAILMENT) for name in names)
    return has_entailment and bool(labels) and len(match_labels(labels, names)) < len(labels)


def require_fitting_classifier(pipeline: Any, settings: ModelSettings) -> None:
    """Require a classifier whose outputs are those of the target type.

    Raises:
        ModelLoadError: another target type fits; the message names it.
    """
    if pipeline.task not in (TEXT_CLASSIFICATION, IMAGE_CLASSIFICATION) or is_zero_shot(pipeline, settings):
        return
    target_type, count = settings.target_type, len(label_names(pipeline))
    problem = pipeline.model.config.problem_type
    if target_type is TargetType.REGRESSION and (count > 1 or pipeline.task == IMAGE_CLASSIFICATION):
        raise ModelLoadError(f"The model has {count} classes: give --target-type binary, multiclass or multilabel.")
    if target_type.is_classification and problem == _MULTILABEL:
        raise ModelLoadError("The labels of the model do not exclude each other: give --target-type multilabel.")
    if target_type is TargetType.MULTILABEL and problem == "single_label_classification":
        raise ModelLoadError("The classes of the model exclude each other: give --target-type multiclass.")
    if target_type.has_class_labels and problem == "regression":
        raise ModelLoadError("The model is a regressor: give --target-type regression.")


def class_order(pipeline: Any, settings: ModelSettings) -> tuple[int, ...] | None:
    """Return the output of each label, None for the only output of a binary model.

    Raises:
        ModelLoadError: the classes of the model are not the labels.
    """
    names = label_names(pipeline)
    if len(names) == 1 and settings.target_type is TargetType.BINARY:
        return None
    numbers = [_UNNAMED.fullmatch(name) for name in names]
    if len(match_labels(settings.class_labels, names)) < len(names) and all(numbers):
        return order_classes([int(found[1]) for found in numbers if found], settings, numbered=True)
    return order_classes(names, settings)


def class_scores(pipeline: Any, target_type: TargetType) -> Callable[[Any], np.ndarray]:
    """Return a function from texts to the scores of all classes, in the order of the model."""
    names, function = label_names(pipeline), _activation(pipeline, target_type)

    def predict(texts: Any) -> np.ndarray:
        rows = checked_texts(pipeline, list(texts))
        return _to_array((pipeline(text, top_k=None, function_to_apply=function) for text in rows), names)

    return predict


def image_scores(pipeline: Any, target_type: TargetType) -> Callable[[Any], np.ndarray]:
    """Return a function from images in Base64 to the scores of all classes, in the order of the model."""
    names, function = label_names(pipeline), _activation(pipeline, target_type)

    def predict_image(row: int, cell: str) -> Any:
        stop_if_cancelled()
        image = decode_base64_image(cell, f"The image in row {row}")
        return pipeline(image, top_k=len(names), function_to_apply=function)

    def predict(cells: Any) -> np.ndarray:
        return _to_array((predict_image(row, cell) for row, cell in enumerate(cells, start=1)), names)

    return predict


def _activation(pipeline: Any, target_type: TargetType) -> str:
    """Return the function that turns outputs into the values of the target type."""
    if target_type is TargetType.REGRESSION:
        return "none"
    is_single = target_type.is_classification and len(label_names(pipeline)) > 1
    return "softmax" if is_single else "sigmoid"


def zero_shot_scores(pipeline: Any, settings: ModelSettings) -> Callable[[Any], np.ndarray]:
    """Return a function from texts to the scores of the declared labels, of which the model knows only the names."""
    zero_shot = zero_shot_pipeline(pipeline)
    labels, is_multilabel = list(settings.class_labels), settings.target_type is TargetType.MULTILABEL

    def predict(texts: Any) -> np.ndarray:
        rows = [
            zero_shot(text, candidate_labels=labels, multi_label=is_multilabel)
            for text in checked_texts(pipeline, list(texts), hypotheses(labels))
        ]
        return np.array([_in_order(row["labels"], row["scores"], labels) for row in rows]).reshape(-1, len(labels))

    return predict


def zero_shot_pipeline(pipeline: Any) -> Any:
    """Return a zero-shot classifier with the model and tokenizer of a pipeline."""
    return transformers.ZeroShotClassificationPipeline(
        model=pipeline.model, tokenizer=pipeline.tokenizer, device=pipeline.device
    )


def hypotheses(labels: Iterable[str], template: str = "This example is {}.") -> list[str]:
    """Return the sentences that a zero-shot classifier compares a text with."""
    return [template.format(label) for label in labels]


def mean_features(pipeline: Any, texts: Sequence[str]) -> np.ndarray:
    """Return the mean of the features of all tokens of each text."""
    rows = [np.asarray(pipeline(text))[0].mean(axis=0) for text in checked_texts(pipeline, texts)]
    return np.array(rows)


def _to_array(rows: Iterable[Sequence[dict[str, Any]]], names: list[str]) -> np.ndarray:
    values = [_in_order([item["label"] for item in row], [item["score"] for item in row], names) for row in rows]
    return np.array(values, dtype=np.float64).reshape(-1, len(names))


def _in_order(found: Sequence[str], scores: Sequence[float], names: Sequence[str]) -> list[float]:
    by_name = dict(zip(found, scores, strict=True))
    return [by_name[name] for name in names]
