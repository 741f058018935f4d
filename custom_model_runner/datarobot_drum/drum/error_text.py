"""Clean error texts of libraries and clients: no native stack traces, no paths, no control characters, bounded length.

An exception may quote a whole cell of the input.
"""

import re
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from types import TracebackType

MAX_CLIENT_TEXT = 1_000
"""Maximum length of an error text in a response: an exception may quote a whole cell of the input."""

MAX_LOGGED_TEXT = 1_000
"""Maximum length of an error text in a log or span, and of one entry of a traceback."""

_INDENT = "  "

_TRACE_LINE = re.compile(
    r"""^\s*(?:
        Stack\ ?trace\b | (?:stack\ )?backtrace: | call\ stack\b | C\+\+\ (?:CallStack|Traceback)
        | \[bt\] | \#\d+\s+(?:0x)? | frame\ \#\d+ | Exception\ raised\ from\b
        | Traceback\ \(most\ recent\ call\ last\) | File\ ".*",\ line\ \d+
        | at\ [\w.$<>/]+\([^)]*\)\s*$ | \.\.\.\ \d+\ more\s*$ | Calls:\s
    )""",
    re.IGNORECASE | re.VERBOSE,
)
"""The first line of a stack trace in a message of XGBoost, PyTorch, Rust, Java, R or Python."""

_FINAL_TRACE = re.compile(r"\s*\bStack ?trace:.*$", re.IGNORECASE | re.DOTALL)
_ABSOLUTE_PATH = re.compile(
    r"""(?<![\w:/\\.~-])(?:file://)?(?!/v\d)(?:[A-Za-z]:|~\w*)?(?:[/\\][^\s/\\:*?"'<>|(),;\[\]{}]+){2,}"""
)
"""A path of a file or folder; routes such as /v1/models stay as they are."""
_SOURCE_FILE = re.compile(r"(?<![\w/.])(?:[\w.+-]+/)+(?=[\w.+-]+\.(?:cc|cpp|cxx|cu|cuh|c|h|hpp|inl|rs|pyx|pxi|java)\b)")


def without_native_trace(text: str) -> str:
    """Return the lines before the stack trace that a native library has put into its message."""
    lines = text.splitlines()
    kept: list[str] = []
    for line in lines:
        if _TRACE_LINE.match(line):
            break
        kept.append(line)
    if len(kept) == len(lines):
        return text
    message = _FINAL_TRACE.sub("", "\n".join(kept).strip())
    # Without a message before it, it is a Python traceback, which ends with the message.
    return message if _has_words(message) else next(filter(_has_words, map(str.strip, reversed(lines))), "")


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))


def without_paths(text: str) -> str:
    """Reduce absolute paths, and paths of source files of native libraries, to the name of the file."""
    return _SOURCE_FILE.sub("", _ABSOLUTE_PATH.sub(lambda found: re.split(r"[/\\]", found[0])[-1], text))


def client_text(text: str) -> str:
    """Return an error text of foreign code as clients may see it."""
    text = without_native_trace(text[: 10 * MAX_CLIENT_TEXT])
    return shortened(without_paths(text), MAX_CLIENT_TEXT)


def shortened(text: str, length: int) -> str:
    """Return at most ``length`` characters, with a mark where the rest was."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def printable(text: str) -> str:
    """Escape control characters, line breaks and marks that change the direction of text."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def one_line(text: str, length: int = MAX_LOGGED_TEXT) -> str:
    """Return a text of a client as one line for the log: joined, escaped and shortened."""
    return printable(shortened(" ".join(text[: 10 * length].split()), length))


def indented_lines(text: str) -> str:
    """Return the lines of a traceback, each escaped and indented, so that none looks like a line of the log."""
    return "\n".join(f"{_INDENT}{printable(line)}" for line in text.rstrip("\n").split("\n"))


def format_error(error: BaseException, start: TracebackType | None = None) -> str:
    """Return the traceback of an error as ``traceback.format_exception`` does, with shortened texts.

    Args:
        start: the first frame to show; by default that of the error.
    """
    lines = traceback.format_exception(type(error), error, start or error.__traceback__)
    return "".join(f"{shortened(line.rstrip(), MAX_LOGGED_TEXT)}\n" for line in lines)


def format_exception(exc_info: tuple[type[BaseException] | None, BaseException | None, TracebackType | None]) -> str:
    """Return the traceback of a log record; like ``logging.Formatter.formatException``, with shortened texts."""
    error = exc_info[1]
    return "" if error is None else format_error(error, exc_info[2]).rstrip("\n")


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return the nearest known name as a question in parentheses, after a blank; empty if none is near.

    Args:
        prefix: of most names, so that having it is no likeness.
    """
    by_word = {other.removeprefix(prefix).upper(): other for other in sorted(known)}
    close = get_close_matches(name.removeprefix(prefix).upper(), by_word, 1)
    return f" (did you mean {by_word[close[0]]}?)" if close else ""
