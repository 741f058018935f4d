"""Shorten error texts for responses, logs and spans: an exception may quote a whole cell of the input."""

import traceback
from types import TracebackType

MAX_ERROR_TEXT = 1000
"""Maximum characters of one error text, and of one entry of a traceback."""


def shorten(text: str, limit: int = MAX_ERROR_TEXT) -> str:
    """Return at most ``limit`` characters of a text; a mark says how many are missing."""
    if len(text) <= limit:
        return text
    mark = f"... ({len(text)} characters)"
    return text[: max(0, limit - len(mark))] + mark


def format_error(error: BaseException, start: TracebackType | None = None) -> str:
    """Return the traceback of an error as ``traceback.format_exception`` does, with shortened texts.

    Args:
        start: the first frame to show; by default that of the error.
    """
    lines = traceback.format_exception(type(error), error, start or error.__traceback__)
    return "".join(f"{shorten(line.rstrip())}\n" for line in lines)


def format_exception(exc_info: tuple[type[BaseException] | None, BaseException | None, TracebackType | None]) -> str:
    """Return the traceback of a log record; like ``logging.Formatter.formatException``, with shortened texts."""
    error = exc_info[1]
    return "" if error is None else format_error(error, exc_info[2]).rstrip("\n")
