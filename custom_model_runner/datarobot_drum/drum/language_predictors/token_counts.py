"""Count the tokens of texts with the model's own tokenizer, for ``usage`` of OpenAI's responses."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)


def find_tokenizer(model: Any) -> Any:
    """Return the tokenizer of a loaded model; None without one.

    It is an object with ``encode``: the attribute or the key ``tokenizer`` of the model, or an item of a tuple.
    """
    candidates = [getattr(model, "tokenizer", None)]
    if isinstance(model, Mapping):
        candidates = [model.get("tokenizer")]
    elif isinstance(model, tuple | list):
        candidates = [item for item in model if callable(getattr(item, "decode", None))]
    return next((found for found in candidates if callable(getattr(found, "encode", None))), None)


def count_with_tokenizer(tokenizer: Any, text: str) -> int | None:
    """Return the number of tokens of a text, without special tokens; None if the tokenizer fails."""
    try:
        try:
            tokens = tokenizer.encode(text, add_special_tokens=False)
        except TypeError:  # not every tokenizer has special tokens
            tokens = tokenizer.encode(text)
        return len(tokens)
    except Exception as error:  # the response is complete, so its usage must not fail it
        logger.warning(
            "The tokens of a text could not be counted, so usage is null: %s: %s", type(error).__name__, error
        )
        return None
