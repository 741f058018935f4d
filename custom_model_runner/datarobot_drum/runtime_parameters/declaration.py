"""One declaration for each server parameter, from which reading, help and documentation come.

A parameter is a field of a frozen dataclass::

    @dataclass(frozen=True)
    class ServerParameters:
        graceful_timeout: float = parameter(
            "DRUM_GUNICORN_GRACEFUL_TIMEOUT", Kind.SECONDS, "Time to finish.", default=299.0, limits=(1, 3600)
        )

A number outside its limits is moved to the nearer one and an unknown choice becomes the default, both with
a warning; what is no number at all is an error.
"""

import dataclasses
import logging
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.runtime_parameters.definitions import parameter_error

logger = logging.getLogger(__name__)

_METADATA_KEY = "declaration"
_OFF = frozenset({"", "0", "false", "no", "off"})
_UNITS = {"": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(KB|MB|GB|)", re.IGNORECASE)
_LONGEST_NUMBER = 40
_HELP_WIDTH = 78


class Kind(str, Enum):
    """How the text of a parameter is read."""

    STRING = "string"
    CHOICE = "choice"
    INTEGER = "integer"
    SECONDS = "seconds"
    SIZE = "size"
    BOOLEAN = "boolean"


@dataclasses.dataclass(frozen=True)
class Declaration:
    """A server parameter. ``default`` None means computed, and ``computed`` says how."""

    name: str
    kind: Kind
    help: str
    default: Any = None
    computed: str = ""
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    servers: tuple[str, ...] = ("flask", "gunicorn", "fastapi")

    @property
    def default_value(self) -> Any:
        """The default as a final value ("100MB" is written so for the reader's sake)."""
        return parse_size(self.default) if isinstance(self.default, str) and self.kind is Kind.SIZE else self.default

    @property
    def default_text(self) -> str:
        return self.computed if self.default is None else _text(self.default)

    @property
    def range_text(self) -> str:
        if self.limits is not None:
            return "{} to {}".format(*map(_text, self.limits))
        if self.kind is Kind.SIZE:
            return "bytes, or a number with KB, MB or GB; 0 = no limit"
        if self.kind is Kind.BOOLEAN:
            return "0, false, no, off = off"
        aliases = (f"{alias} = {name}" for alias, name in self.aliases.items())
        return ", ".join((*self.choices, *aliases)) or "any text"


def parameter(name: str, kind: Kind, help: str, **details: Any) -> Any:
    """A dataclass field that declares a server parameter; ``details`` are fields of `Declaration`."""
    declaration = Declaration(name, kind, help, **details)
    return dataclasses.field(metadata={_METADATA_KEY: declaration})


def declarations_of(owner: type) -> dict[str, Declaration]:
    """The declarations of a dataclass, by field name."""
    return {
        field.name: field.metadata[_METADATA_KEY]
        for field in dataclasses.fields(owner)
        if _METADATA_KEY in field.metadata
    }


@dataclasses.dataclass(frozen=True)
class Resolution:
    """The values that were given, by field name, and the errors of those that could not be read."""

    values: Mapping[str, Any]
    errors: tuple[RuntimeParameterError, ...]


def resolve(owner: type, find: Callable[[str], Any]) -> Resolution:
    """Read every declared parameter that ``find`` has a value for."""
    values: dict[str, Any] = {}
    errors = []
    for field_name, declaration in declarations_of(owner).items():
        value = _attempt(declaration, find)
        if isinstance(value, RuntimeParameterError):
            errors.append(value)
        elif value is not None:
            values[field_name] = value
    return Resolution(values, tuple(errors))


def _attempt(declaration: Declaration, find: Callable[[str], Any]) -> Any:
    try:
        raw = find(declaration.name)
        return None if raw is None else read_value(declaration, raw)
    except RuntimeParameterError as error:
        return error


def read_value(declaration: Declaration, raw: Any) -> Any:
    """The final value of one parameter.

    Raises:
        RuntimeParameterError: it is no number, size or text where the kind asks for one.
    """
    try:
        value = _READERS[declaration.kind](raw)
    except ValueError as error:
        raise parameter_error(declaration.name, str(error)) from None
    if declaration.choices:
        return _choose(declaration, value)
    return clamp(declaration.name, value, declaration.limits)


def clamp(name: str, value: Any, limits: tuple[float, float] | None) -> Any:
    """The value, or the limit that it oversteps; a warning says so."""
    if limits is None or limits[0] <= value <= limits[1]:
        return value
    nearest = type(value)(limits[0] if value < limits[0] else limits[1])
    logger.warning("%s=%s is outside %s to %s: %s is used.", name, _text(value), *map(_text, limits), _text(nearest))
    return nearest


def _choose(declaration: Declaration, text: str) -> Any:
    wanted = text.strip().lower()
    wanted = declaration.aliases.get(wanted, wanted)
    if wanted in declaration.choices:
        return wanted
    logger.warning(
        "%s=%.80r is unknown: %s is used. Valid values: %s.",
        declaration.name,
        text,
        declaration.default_text,
        ", ".join((*declaration.choices, *declaration.aliases)),
    )
    return declaration.default


def parse_switch(raw: Any) -> bool:
    """Whether a switch is on: empty, 0, false, no and off (any case) mean off, everything else on."""
    return str(raw).strip().lower() not in _OFF


def parse_number(raw: Any) -> float:
    """A finite number, given as one or as ASCII text.

    Raises:
        ValueError: with what is wrong, fit to follow the parameter's name.
    """
    text = "" if isinstance(raw, bool) else str(raw).strip()
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        raise ValueError("must be a number")
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("must be a finite number")
    return number


def parse_integer(raw: Any) -> int:
    """A whole number; 4.0 is one."""
    number = parse_number(raw)
    if not number.is_integer():
        raise ValueError("must be a whole number")
    return int(number)


def parse_size(raw: Any) -> int:
    """A size in bytes: a whole number, or a number with KB, MB or GB (powers of 1024)."""
    text = "" if isinstance(raw, bool) else str(raw).strip()
    match = _SIZE.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if match is None:
        raise ValueError("must be a size: bytes, or a number with KB, MB or GB, such as 100MB")
    amount, unit = match.groups()
    size = float(amount) * _UNITS[unit.upper()]
    if not unit and not size.is_integer():
        raise ValueError("must be a whole number of bytes")
    # Upwards: a fraction of a byte must not become 0, which means no limit.
    return math.ceil(size)


def _parse_text(raw: Any) -> str:
    if not isinstance(raw, str | int | float):
        raise ValueError("must be text")
    return str(raw)


_READERS: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.STRING: _parse_text,
    Kind.CHOICE: _parse_text,
    Kind.INTEGER: parse_integer,
    Kind.SECONDS: parse_number,
    Kind.SIZE: parse_size,
    Kind.BOOLEAN: parse_switch,
}


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def markdown_table_of(owner: type) -> str:
    """The parameters as a Markdown table, for the README."""
    rows = [
        "| parameter | kind | default | values | servers | effect |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for declaration in declarations_of(owner).values():
        cells = (
            f"`{declaration.name}`",
            declaration.kind.value,
            declaration.default_text,
            declaration.range_text,
            ", ".join(declaration.servers),
            declaration.help,
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def help_text_of(owner: type) -> str:
    """The parameters as plain text, for ``--help``."""
    return "\n".join(line for declaration in declarations_of(owner).values() for line in _help(declaration))


def _help(declaration: Declaration) -> Iterable[str]:
    facts = f"{declaration.range_text}; default {declaration.default_text}"
    if len(declaration.servers) == 1:
        facts += f"; {declaration.servers[0]} only"
    yield f"  {declaration.name}"
    yield textwrap.fill(f"{declaration.help} ({facts})", _HELP_WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
