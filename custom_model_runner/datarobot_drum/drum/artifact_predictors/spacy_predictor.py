"""spaCy pipelines from a folder (``meta.json`` and ``config.cfg``), as ``nlp.to_disk`` writes them.

==================  =====================================================================================
binary, multiclass  the scores of a component ``textcat``, whose labels exclude each other
multilabel          the scores of ``textcat_multilabel``
unstructured        entities, categories, sentences and tokens of a text, as ``Doc.to_json`` returns them
==================  =====================================================================================

Texts are run one by one. Thread safety: the vocabulary grows during a call; one call at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import spacy

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.class_columns import bind_numbers, require_column_count
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.model_labels import order_classes
from datarobot_drum.drum.artifact_predictors.text_bodies import read_texts
from datarobot_drum.drum.cancellation import stop_if_cancelled
from datarobot_drum.drum.exceptions import ModelLoadError, UnprocessableInput
from datarobot_drum.drum.input_schema.columns import Column, ColumnType, InputSchema
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

_TEXT = Column(ColumnType.TEXT, fill="")
_EXCLUSIVE, _MULTILABEL = "textcat", "textcat_multilabel"


class SpacyPredictor(ArtifactPredictor):
    name = "spacy"
    extensions = ()
    thread_safe = False

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        with artifact_load_errors(path):
            return spacy.load(path)

    def accepts(self, model: Any) -> bool:
        return isinstance(model, spacy.language.Language)

    def input_schema(self, model: Any) -> InputSchema:
        return InputSchema((_TEXT,), takes_series=True)

    def require_fitting_target(self, model: Any, settings: ModelSettings) -> None:
        target_type, kind = settings.target_type, _classifier_kind(model)
        if target_type is TargetType.MULTILABEL and kind == _EXCLUSIVE:
            raise ModelLoadError("The labels of textcat exclude each other: give --target-type multiclass.")
        if target_type.is_classification and kind == _MULTILABEL:
            raise ModelLoadError("The labels of textcat_multilabel do not exclude each other: give multilabel.")

    def class_names(self, model: Any) -> Sequence[Any] | None:
        return _labels(model)

    def functions(self, model: Any, settings: ModelSettings) -> Mapping[str, Callable[..., Any]]:
        return {"score_unstructured": _Requests(model).respond}

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel:
        labels = _labels(model)
        if labels is None or not settings.target_type.has_class_labels:
            parts = ", ".join(model.pipe_names) or "none"
            raise ModelLoadError(
                f"The pipeline of spaCy (components: {parts}) does not serve the target type "
                f"{settings.target_type.value}: give --target-type unstructured, or binary, multiclass or multilabel "
                "for a component textcat."
            )
        require_column_count(len(labels), settings)
        return bind_numbers(_score_function(model, labels), settings, order_classes(labels, settings))


def _classifier(model: Any) -> str | None:
    """Return the name of the component that classifies texts."""
    factories: dict[str, str] = model.pipe_factories
    return next((name for name, factory in factories.items() if factory in (_EXCLUSIVE, _MULTILABEL)), None)


def _classifier_kind(model: Any) -> str | None:
    name = _classifier(model)
    return None if name is None else str(model.pipe_factories[name])


def _labels(model: Any) -> list[str] | None:
    name = _classifier(model)
    return None if name is None else list(model.get_pipe(name).labels)


def _score_function(model: Any, labels: Sequence[str]) -> Callable[[Any], np.ndarray]:
    def score(row: int, text: str) -> list[float]:
        stop_if_cancelled()
        document = _read(model, text, f"The text in row {row}")
        return [document.cats[label] for label in labels]

    return lambda texts: np.array([score(row, text) for row, text in enumerate(texts, start=1)])


def _read(model: Any, text: str, where: str) -> Any:
    """Return the document of a text.

    Raises:
        UnprocessableInput: the text has no words, for which all scores would be 0, or is too long.
    """
    if not text.strip():
        raise UnprocessableInput(f"{where} is empty, and the model takes none without words.")
    if len(text) > model.max_length:
        raise UnprocessableInput(f"{where} has {len(text)} characters, and the model takes {model.max_length}.")
    return model(text)


class _Requests:
    """The unstructured predictions of a pipeline."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def respond(self, model: Any, data: str | bytes, *, mimetype: str = "") -> Any:
        """Return what the pipeline finds in a text, or in each of a list; stands for ``score_unstructured``.

        Raises:
            UnprocessableInput: the body is no text, and no JSON of the form {"inputs": ...}.
        """
        inputs = read_texts(data, mimetype)
        if isinstance(inputs, str):
            return self._describe(inputs)
        return [self._describe(text) for text in inputs]

    def _describe(self, text: str) -> Any:
        stop_if_cancelled()
        return _read(self._pipeline, text, "The text").to_json()
