"""Counts the words of a text, and the bytes of anything else."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import CustomHTTPError

WORDS_SHOWN = 3


def load_model(code_dir: str) -> frozenset[str]:
    """Load the words that are not counted."""
    return frozenset((Path(code_dir) / "stopwords.txt").read_text(encoding="utf-8").split())


def score_unstructured(
    model: frozenset[str], data: str | bytes, query: dict[str, str], mimetype: str, **kwargs: Any
) -> tuple[str, dict[str, str]]:
    """Count the input: text is passed as str, anything else as bytes. The query parameter ``top`` sets the number
    of words.
    """
    if isinstance(data, bytes):
        found: dict[str, Any] = {"mimetype": mimetype, "bytes": len(data)}
    else:
        words = [word.strip(".,;:!?\"'()").lower() for word in data.split()]
        counts = Counter(word for word in words if word and word not in model)
        found = {"mimetype": mimetype, "words": len(words), "top": dict(counts.most_common(_top(query)))}
    return json.dumps(found, ensure_ascii=False), {"mimetype": "application/json"}


def _top(query: dict[str, str]) -> int:
    text = query.get("top", str(WORDS_SHOWN))
    if not text.isdecimal():
        raise CustomHTTPError(f"top must be a whole number, not {text!r}.", 422)
    return int(text)
