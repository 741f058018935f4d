"""Match a model's classes or columns to the declared labels, compared as text."""

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

_BOOLEANS = {"true": 1, "false": 0}


def match_labels(declared: Sequence[str], found: Sequence[Any]) -> dict[str, int]:
    """Return the position in ``found`` of every declared label with a unique match.

    Equal text is matched first, then text stripped of blanks and normalized in Unicode, then equal numbers. True and
    false count as 1 and 0: ``1.0``, ``"1"`` and ``True`` are one label unless two of them are present. A label that
    equals two candidates is not matched.
    """
    matches: dict[str, int] = {}
    for key in (as_label, _stripped, as_number):
        taken = set(matches.values())
        labels = [label for label in declared if label not in matches]
        candidates = [position for position in range(len(found)) if position not in taken]
        matches |= _unique_matches(labels, candidates, found, key)
    return matches


def is_order_of_labels(classes: Sequence[Any], labels: Sequence[str]) -> bool:
    """Return True if columns in the order of the classes are in the order of the labels.

    Classes that are no labels may stand for them only if they are numbers in ascending order.
    """
    matches = match_labels(labels, classes)
    if len(matches) == len(labels):
        return [matches[label] for label in labels] == list(range(len(labels)))
    numbers = [as_number(item) for item in classes]
    known = [number for number in numbers if number is not None]
    return not matches and len(known) == len(numbers) and known == sorted(known)


def as_label(value: Any) -> str:
    """Convert a class to text: NumPy scalars as Python's, bytes as UTF-8."""
    value = value.item() if hasattr(value, "item") and getattr(value, "size", 1) == 1 else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def format_labels(labels: Iterable[Any]) -> str:
    """Format at most ten quoted labels for an error message."""
    texts = [repr(as_label(label)) for label in labels]
    return ", ".join(texts[:10]) + (f" and {len(texts) - 10} more" if len(texts) > 10 else "")


def _unique_matches(
    labels: Sequence[str], candidates: Sequence[int], found: Sequence[Any], key: Callable[[Any], Hashable | None]
) -> dict[str, int]:
    wanted = Counter(key(label) for label in labels)
    offered = Counter(key(found[position]) for position in candidates)
    positions = {key(found[position]): position for position in candidates}
    return {
        label: positions[text]
        for label in labels
        if (text := key(label)) is not None and wanted[text] == 1 and offered[text] == 1
    }


def _stripped(value: Any) -> str:
    return unicodedata.normalize("NFC", as_label(value).strip())


def as_number(value: Any) -> float | int | None:
    """Return the number that a label denotes; integers of any size are exact."""
    text = as_label(value).strip()
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if "_" in text:
        return None
    try:
        return int(text)
    except ValueError:
        return _finite(text)


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
