"""An unstructured model that returns its data."""

from typing import Any


def load_model(code_dir: str) -> str:
    return "nothing"


def score_unstructured(model: str, data: bytes | str, query: dict[str, Any], **kwargs: Any) -> bytes | str:
    return data
