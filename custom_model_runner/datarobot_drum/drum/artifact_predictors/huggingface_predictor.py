"""Pipelines of Hugging Face's transformers from a local folder: ``config.json``, weights, tokenizer.

The task follows from the architecture in ``config.json``; ``huggingface_tasks`` lists what each serves. Rows are run
one by one, since padding in a batch changes the last digits. Nothing is downloaded, and ``trust_remote_code`` is never
set. Weights in ``.bin`` files are read as weights only.

Thread safety: tokenizers change their state during a call; one call at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import transformers

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import BoundModel, bind_numbers, one_column
from datarobot_drum.drum.artifact_predictors.embeddings import TextEmbedder
from datarobot_drum.drum.artifact_predictors.huggingface_generation import TextGenerator
from datarobot_drum.drum.artifact_predictors.huggingface_inputs import texts_of_column
from datarobot_drum.drum.artifact_predictors.huggingface_requests import TaskRequests
from datarobot_drum.drum.artifact_predictors.huggingface_tasks import (
    FEATURES,
    GENERATION,
    IMAGE_CLASSIFICATION,
    TEXT_CLASSIFICATION,
    TOKEN_CLASSIFICATION,
    class_order,
    class_scores,
    image_scores,
    is_zero_shot,
    label_names,
    mean_features,
    require_fitting_classifier,
    task_of,
    zero_shot_scores,
)
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.model_folders import read_json
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.input_schema.columns import Column, ColumnType, InputSchema
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

_TEXT = Column(ColumnType.TEXT, fill="")
_OWN_CODE = (
    "needs code of its own (auto_map in config.json), which is never run: add a custom.py whose load_model hook "
    "returns the pipeline"
)


class TransformersPredictor(ArtifactPredictor):
    name = "transformers"
    extensions = ()
    thread_safe = False

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        task = task_of(read_json(path / "config.json"), path.name)
        with artifact_load_errors(path):
            try:
                return transformers.pipeline(task, model=str(path), trust_remote_code=False)
            except ValueError as error:
                if "trust_remote_code" in str(error):
                    raise ModelLoadError(f"{path.name} {_OWN_CODE}.") from error
                raise

    def accepts(self, model: Any) -> bool:
        return isinstance(model, transformers.Pipeline)

    def input_schema(self, model: Any) -> InputSchema:
        return InputSchema(rest=_TEXT) if model.task == GENERATION else InputSchema((_TEXT,), takes_series=True)

    def require_fitting_target(self, model: Any, settings: ModelSettings) -> None:
        require_fitting_classifier(model, settings)

    def class_names(self, model: Any) -> Sequence[Any] | None:
        return label_names(model) if model.task in (TEXT_CLASSIFICATION, IMAGE_CLASSIFICATION) else None

    def functions(self, model: Any, settings: ModelSettings) -> Mapping[str, Callable[..., Any]]:
        functions: dict[str, Callable[..., Any]] = {"score_unstructured": TaskRequests(model).respond}
        if model.task == GENERATION:
            functions["chat"] = TextGenerator(model).chat
        if model.task == FEATURES:
            functions["embed"] = _embedder(model).embed
        return functions

    def transformer(self, model: Any) -> Any | None:
        return _embedder(model) if model.task == FEATURES else None

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel | None:
        task, target_type = model.task, settings.target_type
        if task == FEATURES and target_type is TargetType.TEXT_GENERATION:
            return None
        if task == GENERATION and target_type is TargetType.TEXT_GENERATION:
            generate, column = TextGenerator(model).generate_text, settings.prompt_column
            call = lambda data: np.array([generate(text) for text in texts_of_column(data, column)], dtype=object)  # noqa: E731
            return BoundModel(call, (), one_column)
        if task == TEXT_CLASSIFICATION and is_zero_shot(model, settings):
            return bind_numbers(zero_shot_scores(model, settings), settings)
        if task == TEXT_CLASSIFICATION and target_type is TargetType.REGRESSION:
            return bind_numbers(class_scores(model, target_type), settings)
        if task in (TEXT_CLASSIFICATION, IMAGE_CLASSIFICATION) and target_type.has_class_labels:
            scores = class_scores if task == TEXT_CLASSIFICATION else image_scores
            return bind_numbers(scores(model, target_type), settings, class_order(model, settings))
        raise ModelLoadError(
            f"The folder holds a model for {task}, which the target type {target_type.value} does not serve: give "
            f"--target-type {_FITTING[task]}."
        )


_FITTING = {
    TEXT_CLASSIFICATION: "binary, multiclass, multilabel or unstructured",
    IMAGE_CLASSIFICATION: "binary, multiclass, multilabel or unstructured",
    TOKEN_CLASSIFICATION: "unstructured",
    FEATURES: "unstructured, transform or textgeneration",
    GENERATION: "textgeneration or unstructured",
}


def _embedder(model: Any) -> TextEmbedder:
    return TextEmbedder(lambda texts: mean_features(model, texts))
