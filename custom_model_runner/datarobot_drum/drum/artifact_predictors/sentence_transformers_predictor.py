"""sentence-transformers from a local folder (``modules.json``): a vector per text.

Target types: transform (a column of texts to columns of numbers), unstructured (text or
``{"inputs": text or list of texts}`` to a vector or a list of vectors) and textgeneration (``/v1/embeddings`` alone).
Texts are encoded one by one, since padding in a batch changes the last digits. As the library does, it cuts off texts
after ``max_seq_length`` tokens.

Thread safety: tokenizers change their state during a call; one call at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import sentence_transformers

from datarobot_drum.drum.artifact_predictors.base import ArtifactModel, ArtifactPredictor
from datarobot_drum.drum.artifact_predictors.embeddings import TextEmbedder
from datarobot_drum.drum.artifact_predictors.loading import artifact_load_errors
from datarobot_drum.drum.artifact_predictors.text_bodies import read_texts
from datarobot_drum.drum.cancellation import stop_if_cancelled
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.input_schema.columns import Column, ColumnType, InputSchema
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings

_TEXT = Column(ColumnType.TEXT, fill="")


class SentenceTransformersPredictor(ArtifactPredictor):
    name = "sentence-transformers"
    extensions = ()
    thread_safe = False

    def load(self, path: Path, custom: ModuleType | None = None) -> Any:
        with artifact_load_errors(path):
            return sentence_transformers.SentenceTransformer(
                str(path), trust_remote_code=False, local_files_only=True
            ).eval()

    def accepts(self, model: Any) -> bool:
        return isinstance(model, sentence_transformers.SentenceTransformer)

    def input_schema(self, model: Any) -> InputSchema:
        return InputSchema((_TEXT,), takes_series=True)

    def functions(self, model: Any, settings: ModelSettings) -> Mapping[str, Callable[..., Any]]:
        embedder = _embedder(model)
        return {"embed": embedder.embed, "score_unstructured": _Requests(embedder).respond}

    def transformer(self, model: Any) -> Any | None:
        return _embedder(model)

    def bind(self, model: Any, settings: ModelSettings) -> ArtifactModel | None:
        if settings.target_type is TargetType.TEXT_GENERATION:
            return None
        raise ModelLoadError(
            f"The folder holds a model of sentence-transformers, which the target type {settings.target_type.value} "
            "does not serve: give --target-type unstructured, transform or textgeneration."
        )


def _embedder(model: Any) -> TextEmbedder:
    def encode_one(text: str) -> Any:
        stop_if_cancelled()
        return model.encode(text, show_progress_bar=False)

    return TextEmbedder(lambda texts: np.array([encode_one(text) for text in texts]))


class _Requests:
    """The unstructured predictions of a model."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder

    def respond(self, model: Any, data: str | bytes, *, mimetype: str = "") -> Any:
        """Return a vector for a text, or vectors for a list of texts; stands for the hook ``score_unstructured``.

        Raises:
            UnprocessableInput: the body has another form.
        """
        inputs = read_texts(data, mimetype)
        if isinstance(inputs, str):
            return self._embedder.embed([inputs])[0]
        return self._embedder.embed(inputs)
