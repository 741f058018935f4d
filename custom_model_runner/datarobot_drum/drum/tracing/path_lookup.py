"""The route that serves a path, for spans and metrics."""

import re
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def find_by_path(path: str, bases: Mapping[str, T], patterns: Mapping[re.Pattern[str], T]) -> T | None:
    """Return what a mapping has for the base that the path starts with, or for the pattern that it matches.

    Each is tried in turn, so look among exact paths first.
    """
    found = next((found for base, found in bases.items() if path.startswith(base)), None)
    return found or next((found for pattern, found in patterns.items() if pattern.fullmatch(path)), None)
