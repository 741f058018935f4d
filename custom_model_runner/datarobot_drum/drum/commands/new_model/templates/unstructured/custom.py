"""Answers any input with any output: here, the length of a text as JSON."""

import json
from typing import Any


def load_model(code_dir: str) -> str:
    """Load your own model here; the other hook gets what this one returns."""
    return "counter"


def score_unstructured(
    model: str, data: str | bytes, query: dict[str, str], **kwargs: Any
) -> tuple[str, dict[str, str]]:
    """Text and JSON come as str, any other type as bytes; ``query`` is that of the request's address.

    Return text or bytes, alone or with a dict of ``mimetype`` and ``charset``.
    """
    unit = "characters" if isinstance(data, str) else "bytes"
    return json.dumps({"model": model, unit: len(data), "query": query}), {"mimetype": "application/json"}
