"""Embeddings: the input of the hook ``embed``, and the conversion of what it returns to one vector per text."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.language_predictors.hook_results import describe


@dataclass(frozen=True)
class EmbeddingInput:
    """The texts of a request, or its arrays of tokens; ``params`` is the whole request.

    ``dimensions`` is the wanted length of the vectors, None for the model's own.
    """

    texts: list[str] | None
    tokens: list[list[int]] | None = None
    dimensions: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of vectors to return."""
        return len(self.texts if self.texts is not None else self.tokens or ())


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One vector per text, as the rows of ``vectors``; ``usage`` and ``model`` as far as the model returns them."""

    vectors: np.ndarray
    usage: Mapping[str, Any] | None = None
    model: str | None = None


def to_embeddings(result: Any, count: int) -> Embeddings:
    """Convert the result of the hook ``embed`` or of an engine.

    It is a matrix or a list of vectors, of any library, a generator of vectors, or OpenAI's response.

    Raises:
        PredictionError: it is none of these, or it does not have ``count`` vectors of finite numbers.
    """
    dump = getattr(result, "model_dump", None)
    document = dump() if callable(dump) else result
    if not isinstance(document, Mapping):
        return Embeddings(_to_matrix(result, count))
    entries = document.get("data")
    if not isinstance(entries, list):
        raise PredictionError("The hook embed returned a dict without a list of embeddings as data.")
    vectors = [_entry_vector(entry) for entry in sorted(entries, key=_entry_index)]
    usage, model = document.get("usage"), document.get("model")
    return Embeddings(
        _to_matrix(vectors, count), usage if isinstance(usage, Mapping) else None, model if model else None
    )


def _entry_index(entry: Any) -> int:
    index = entry.get("index") if isinstance(entry, Mapping) else None
    return index if isinstance(index, int) else 0


def _entry_vector(entry: Any) -> Any:
    vector = entry.get("embedding") if isinstance(entry, Mapping) else entry
    if not isinstance(vector, str):
        return vector
    try:
        return np.frombuffer(base64.b64decode(vector, validate=True), dtype="<f4")
    except ValueError as error:
        raise PredictionError("An embedding is text, but not base64 of 32-bit numbers.") from error


def _to_matrix(result: Any, count: int) -> np.ndarray:
    rows = list(result) if isinstance(result, Iterator) else result
    if isinstance(rows, list | tuple):
        rows = [_to_array(row) for row in rows]
    try:
        matrix = np.asarray(_to_array(rows))
    except ValueError as error:
        raise PredictionError("The hook embed returned vectors of different lengths.") from error
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu" or matrix.shape[1] == 0:
        raise PredictionError(
            f"The hook embed returned {describe(result)}: it must return one vector of numbers per text."
        )
    if len(matrix) != count:
        raise PredictionError(f"The hook embed returned {len(matrix)} vectors for {count} texts.")
    if not np.isfinite(matrix).all():
        raise PredictionError("The hook embed returned a vector that holds NaN or an infinity.")
    return matrix


def _to_array(values: Any) -> Any:
    """Return a tensor, a sparse matrix or a table as an array; anything else unchanged."""
    for method in ("to_pandas", "toarray"):
        if callable(getattr(values, method, None)):
            values = getattr(values, method)()
    if callable(getattr(values, "detach", None)):
        values = values.detach().cpu().double()  # numpy has no bfloat16
    return np.asarray(values) if hasattr(values, "__array__") else values
