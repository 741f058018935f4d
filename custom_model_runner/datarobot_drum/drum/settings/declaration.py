"""How an argument of ``drum`` is declared: flag, variable, kind, help, and the subcommands that take it."""

import dataclasses
from enum import Enum
from typing import Any

from datarobot_drum.runtime_parameters.declaration import parse_integer, parse_switch

METADATA_KEY = "argument"

SERVER, SCORE, VALIDATION, PERF_TEST, NEW_MODEL, FIT = "server", "score", "validation", "perf-test", "new model", "fit"
COMMAND_NAMES = (SERVER, SCORE, VALIDATION, PERF_TEST, NEW_MODEL, FIT)
"""The subcommands, in the order in which they are listed."""


class ArgumentKind(str, Enum):
    """How the text of an argument is read."""

    TEXT = "text"
    CHOICE = "choice"
    INTEGER = "integer"
    SWITCH = "switch"
    INTEGERS = "integers"
    LABELS = "labels"


@dataclasses.dataclass(frozen=True)
class Argument:
    """One row of the table. ``commands`` are the subcommands that take it."""

    flag: str
    help: str
    kind: ArgumentKind = ArgumentKind.TEXT
    short: str | None = None
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    variable: str = ""
    foreign_values: bool = False
    """The variable also belongs to someone else, so a value that is no choice is not ours."""
    secret: bool = False
    commands: tuple[str, ...] = (SERVER,)

    @property
    def environment(self) -> str:
        return self.variable or self.flag.lstrip("-").replace("-", "_").upper()

    def convert(self, text: str) -> Any:
        """The plain value of a text.

        Raises:
            ValueError: with what is wrong, fit to follow the argument's name.
        """
        if self.kind is ArgumentKind.SWITCH:
            return parse_switch(text)
        if self.kind is ArgumentKind.INTEGER:
            return parse_integer(text)
        if self.kind is ArgumentKind.INTEGERS:
            return tuple(map(parse_integer, text.replace(",", " ").split()))
        if self.kind is ArgumentKind.LABELS:
            return tuple(text.split())
        if self.kind is ArgumentKind.CHOICE:
            return self._choose(text)
        return text

    def _choose(self, text: str) -> str:
        wanted = text.strip().lower()
        if wanted not in self.choices:
            raise ValueError(f"must be one of {', '.join(self.choices)}, not {text!r}")
        return wanted


def argument(flag: str, help: str, **details: Any) -> Any:
    """A dataclass field that declares an argument; ``details`` are fields of `Argument`."""
    row = Argument(flag, help, **details)
    default = False if row.kind is ArgumentKind.SWITCH else None
    return dataclasses.field(default=default, repr=not row.secret, metadata={METADATA_KEY: row})
