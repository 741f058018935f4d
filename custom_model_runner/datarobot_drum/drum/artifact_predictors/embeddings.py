"""Embeddings of texts: a vector per text, as the columns of a transformer and for the hook ``embed``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datarobot_drum.drum.tabular.lazy_pandas import pd


@dataclass(frozen=True)
class TextEmbedder:
    """A function from texts to an array with a row per text."""

    encode: Callable[[Sequence[str]], np.ndarray]

    def embed(self, texts: Sequence[str], model: Any = None) -> list[list[float]]:
        """Return the vectors of texts; stands for the hook ``embed``."""
        vectors: list[list[float]] = self.encode(list(texts)).tolist()
        return vectors

    def transform(self, data: Any) -> pd.DataFrame:
        """Return the vectors of a column of texts as columns ``embedding_0``, ``embedding_1`` ..."""
        vectors = self.encode(list(data))
        return pd.DataFrame(vectors, columns=[f"embedding_{number}" for number in range(vectors.shape[1])])
