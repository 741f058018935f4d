"""YAML files as plain values. Import it only when there is a file to read: PyYAML costs start-up time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from datarobot_drum.drum.exceptions import StartupError

_TAG = "tag:yaml.org,2002:"
_UNWANTED = (f"{_TAG}timestamp", f"{_TAG}value")
"""Dates stay text as written (JSON has none), and so does a bare ``=``."""


def _loader(name: str, wanted: Callable[[str], bool]) -> Any:
    """Return a safe loader that resolves scalars to the wanted tags and leaves all others text."""
    resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if wanted(tag)]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return type(name, (yaml.SafeLoader,), {"yaml_implicit_resolvers": resolvers})


MAX_EXPANDED_SIZE = 250_000
"""Characters of a document with its aliases replaced by what they name; larger ones may be ten times the file."""

_PlainLoader = _loader("_PlainLoader", lambda tag: tag not in _UNWANTED)
"""Resolves scalars to the types of JSON."""

_TextLoader = _loader("_TextLoader", lambda tag: tag == f"{_TAG}merge")
"""Leaves every scalar as written: ``yes``, ``010`` and ``1.50`` stay text."""


def read_values(path: Path, error: type[StartupError]) -> dict[str, Any]:
    """Return the top-level mapping of a file with JSON types; an empty file is an empty mapping.

    Raises:
        StartupError: of the given type, if the file is not a readable YAML mapping.
    """
    return _read(path, _PlainLoader, error)


def read_texts(path: Path, error: type[StartupError]) -> dict[str, Any]:
    """Return the top-level mapping with every scalar as text; raises as `read_values`."""
    return _read(path, _TextLoader, error)


def _read(path: Path, loader: Any, error: type[StartupError]) -> dict[str, Any]:
    with _translated(path, error):
        content = path.read_bytes()
        root = yaml.compose(content, Loader=loader)
        if _expanded_size(root, {}) > max(MAX_EXPANDED_SIZE, 10 * len(content)):
            raise error(f"{path} has aliases that expand to more than {MAX_EXPANDED_SIZE} characters.")
        _reject_duplicates(path, root, error)
        document = yaml.load(content, Loader=loader)
        if document is None or document == "":
            return {}
        if not isinstance(document, Mapping):
            raise error(f"{path} must hold a mapping of names to values.")
        return {str(key): _plain(value) for key, value in document.items()}


@contextmanager
def _translated(path: Path, error: type[StartupError]) -> Iterator[None]:
    # Only the position is reported: the library's message can quote a secret from the file.
    try:
        yield
    except OSError as exception:
        raise error(f"{path} cannot be read: {exception.strerror}.") from exception
    except RecursionError:
        raise error(f"{path} is nested too deeply.") from None
    except yaml.YAMLError as exception:
        raise error(f"{path} is not valid YAML{_place(exception)}.") from None
    except (ValueError, LookupError, AttributeError, TypeError):
        # Raised by the library's constructors for a value that does not match its explicit tag.
        raise error(f"{path} holds a value that does not fit its YAML tag.") from None


def _place(exception: yaml.YAMLError) -> str:
    mark = getattr(exception, "problem_mark", None)
    return "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"


def _expanded_size(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Return the characters of a node with aliases replaced by what they name; ``known`` has the sizes by id."""
    if node is None or id(node) in known:
        return 0 if node is None else known[id(node)]
    if isinstance(node, yaml.MappingNode):
        size = sum(_expanded_size(part, known) for pair in node.value for part in pair)
    elif isinstance(node, yaml.SequenceNode):
        size = sum(_expanded_size(part, known) for part in node.value)
    else:
        size = len(node.value)
    known[id(node)] = size + 1
    return size + 1


def _reject_duplicates(path: Path, root: yaml.Node | None, error: type[StartupError]) -> None:
    if not isinstance(root, yaml.MappingNode):
        return
    seen = set()
    for key, _ in root.value:
        if key.value in seen and isinstance(key.value, str):
            raise error(f"{path} gives {key.value} twice (line {key.start_mark.line + 1}).")
        if isinstance(key.value, str):
            seen.add(key.value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)
