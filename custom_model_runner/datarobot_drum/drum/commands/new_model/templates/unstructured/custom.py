"""Returns any output for any input: here, the length of a text as JSON."""

import json
from typing import Any


def load_model(code_dir: str) -> str:
    """Load your own model here; its return value is passed to the other hook."""
    return "counter"


def score_unstructured(
    model: str, data: str | bytes, query: dict[str, str], **kwargs: Any
) -> tuple[str, dict[str, str]]:
    """Return text or bytes, alone or with a dict of ``mimetype`` and ``charset``.

    Text and JSON are passed as str, any other type as bytes; ``query`` holds the query parameters of the URL.
    """
    unit = "characters" if isinstance(data, str) else "bytes"
    return json.dumps({"model": model, unit: len(data), "query": query}), {"mimetype": "application/json"}
