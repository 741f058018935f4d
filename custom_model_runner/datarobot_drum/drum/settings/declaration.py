"""Declarations of settings: the command-line arguments of ``drum`` and the server parameters.

Each setting is a field of a frozen dataclass, from which parsing, ``--help`` and the README's tables come::

    @dataclass(frozen=True)
    class ServerParameters:
        graceful_timeout: float = parameter(
            "DRUM_GRACEFUL_TIMEOUT", Kind.SECONDS, "Time to finish.", default=299.0, limits=(1, 3600)
        )

An argument with a wrong value is an error. A server parameter outside its limits is set to the nearer limit, and an
unknown choice becomes the default, both with a warning: a deployment must not fail for them. An unknown choice of a
strict parameter is an error.
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datarobot_drum.drum.error_text import did_you_mean
from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.drum.settings.value_parsers import Kind, parse_size, parse_value
from datarobot_drum.runtime_parameters.definitions import parameter_error
from datarobot_drum.runtime_parameters.origins import Found, Origin

logger = logging.getLogger(__name__)

SERVER, SCORE, VALIDATION, PERF_TEST, NEW_MODEL, FIT = "server", "score", "validation", "perf-test", "new model", "fit"
CONFIG = "config"
SERVE = "serve"
"""``drum server`` as the argument of a container: with a default address, and the model in a platform's folder."""

COMMAND_NAMES = (SERVER, CONFIG, SCORE, VALIDATION, PERF_TEST, NEW_MODEL, FIT)
"""The subcommands, in the order in which they are listed."""

ALL_SERVERS = ("flask", "gunicorn", "fastapi")

_METADATA_KEY = "setting"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """A declared setting. ``name`` is that of the environment variable, and of a server parameter in every source."""

    name: str
    help: str
    kind: Kind = Kind.STRING
    choices: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Argument(Setting):
    """A command-line argument. ``commands`` are the subcommands that take it."""

    flag: str
    short: str | None = None
    metavar: str | None = None
    secret: bool = False
    shared_variable: bool = False
    """The variable has another meaning, too: a value that is not a choice is ignored."""
    commands: tuple[str, ...] = (SERVER,)

    def parse(self, text: str) -> Any:
        """Return the plain value of ``text``.

        Raises:
            ValueError: ``text`` is not valid; the message completes a sentence about the argument.
        """
        value = parse_value(self.kind, text)
        if self.choices and (value := value.strip().lower()) not in self.choices:
            raise ValueError(
                f"must be one of {', '.join(self.choices)}, not {text!r}{did_you_mean(value, self.choices)}"
            )
        return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parameter(Setting):
    """A server parameter. A ``default`` of None is computed, as ``computed`` describes."""

    default: Any = None
    computed: str = ""
    limits: tuple[float, float] | None = None
    choice_aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    strict: bool = False
    """An unknown choice is an error: its default may be less safe than what was meant."""
    servers: tuple[str, ...] = ALL_SERVERS
    aliases: tuple[str, ...] = ()
    """Older names that remain valid. ``name`` wins over them."""
    values: str = ""
    """What a text must be, for the documentation."""
    secret: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    @property
    def default_value(self) -> Any:
        """The default as a final value (sizes are declared as text such as "100MB")."""
        return parse_size(self.default) if isinstance(self.default, str) and self.kind is Kind.SIZE else self.default

    @property
    def default_text(self) -> str:
        return self.computed if self.default is None else _text(self.default)

    @property
    def range_text(self) -> str:
        if self.values:
            return self.values
        if self.limits is not None:
            return "{} to {}".format(*map(_text, self.limits))
        if self.kind is Kind.SIZE:
            return "bytes, or a number with KB, MB or GB; 0 = no limit"
        if self.kind is Kind.BOOLEAN:
            return "0, false, no, off = off"
        aliases = (f"{alias} = {choice}" for alias, choice in self.choice_aliases.items())
        return ", ".join((*self.choices, *aliases)) or "any text"

    def parse(self, raw: Any, name: str = "") -> Any:
        """Return the final value of ``raw``.

        Args:
            raw: text, or a value from YAML or JSON.
            name: the name that the value was given by, if it is an alias.

        Raises:
            RuntimeParameterError: ``raw`` does not fit the kind.
        """
        name = name or self.name
        try:
            value = parse_value(self.kind, raw)
        except ValueError as error:
            raise parameter_error(name, str(error)) from None
        return self._choose(name, value) if self.choices else clamp(name, value, self.limits)

    def _choose(self, name: str, text: str) -> Any:
        choice = text.strip().lower()
        choice = self.choice_aliases.get(choice, choice)
        if choice in self.choices:
            return choice
        valid = ", ".join((*self.choices, *self.choice_aliases))
        if self.strict:
            raise parameter_error(name, f"must be one of {valid}")
        hint = did_you_mean(choice, (*self.choices, *self.choice_aliases))
        logger.warning(
            "%s=%.80r is unknown%s: %s is used. Valid values: %s.", name, text, hint, self.default_text, valid
        )
        return self.default


def argument(flag: str, help: str, *, name: str = "", **details: Any) -> Any:
    """Declare an argument as a dataclass field; ``details`` are fields of `Argument`."""
    variable = name or flag.lstrip("-").replace("-", "_").upper()
    declared = Argument(name=variable, flag=flag, help=help, **details)
    default = False if declared.kind is Kind.BOOLEAN else None
    return dataclasses.field(default=default, repr=not declared.secret, metadata={_METADATA_KEY: declared})


def parameter(name: str, kind: Kind, help: str, **details: Any) -> Any:
    """Declare a server parameter as a dataclass field; ``details`` are fields of `Parameter`."""
    declared = Parameter(name=name, kind=kind, help=help, **details)
    return dataclasses.field(repr=not declared.secret, metadata={_METADATA_KEY: declared})


def settings_of(owner: type) -> dict[str, Any]:
    """Return the declarations of a dataclass by field name, those of its base class last."""
    fields = sorted(dataclasses.fields(owner), key=lambda field: field.name not in owner.__annotations__)
    return {field.name: field.metadata[_METADATA_KEY] for field in fields if _METADATA_KEY in field.metadata}


@dataclasses.dataclass(frozen=True)
class Resolution:
    """The given values by field name, their origins by parameter, and the errors of those that could not be parsed."""

    values: Mapping[str, Any]
    errors: tuple[RuntimeParameterError, ...]
    origins: Mapping[str, Origin] = dataclasses.field(default_factory=dict)


def resolve(owner: type, find: Callable[[Sequence[str]], Found | None]) -> Resolution:
    """Parse every declared parameter that has a value.

    Args:
        owner: the dataclass.
        find: returns the value of the first of the names that has one.
    """
    values: dict[str, Any] = {}
    errors: list[RuntimeParameterError] = []
    origins: dict[str, Origin] = {}
    for field_name, declared in settings_of(owner).items():
        try:
            found = find(declared.names)
            value = None if found is None else declared.parse(found.value, found.name)
        except RuntimeParameterError as error:
            errors.append(error)
            continue
        if found is not None and value is not None:
            values[field_name] = value
            origins[declared.name] = found.origin
    return Resolution(values, tuple(errors), origins)


def clamp(name: str, value: Any, limits: tuple[float, float] | None) -> Any:
    """Return the value, or the limit that it exceeds, with a warning."""
    if limits is None or limits[0] <= value <= limits[1]:
        return value
    nearest = type(value)(limits[0] if value < limits[0] else limits[1])
    logger.warning("%s=%s is outside %s to %s: %s is used.", name, _text(value), *map(_text, limits), _text(nearest))
    return nearest


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
