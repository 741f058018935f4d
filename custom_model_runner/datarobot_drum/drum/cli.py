"""The command line as plain values. It decides nothing and imports nothing heavy."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from datarobot_drum.drum.commands.registry import COMMANDS, Command
from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.arguments import Arguments, arguments_of
from datarobot_drum.drum.settings.build import add_environment
from datarobot_drum.drum.settings.declaration import SERVER, Argument, ArgumentKind
from datarobot_drum.drum.settings.server_parameters import help_text
from datarobot_drum.version import __version__

__all__ = ["Arguments", "parse_arguments"]

_DESCRIPTION = "Serve a folder of model code over HTTP, score files with it, and check it."
_PRECEDENCE = (
    "Every argument may come from the variable named beside it; the flag wins. Switches are on when their\n"
    "variable is set, except to an empty text, 0, false, no or off."
)
_PARAMETERS = (
    "server parameters, read from the variable MLOPS_RUNTIME_PARAM_<NAME>, else from --runtime-params-file,\n"
    "else from the variable <NAME>:"
)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence instead of printing every flag first."""

    def error(self, message: str) -> NoReturn:
        self.exit(UsageError.exit_code, f"{self.prog}: error: {message}\n")


def parse_arguments(argv: Sequence[str] | None = None) -> Arguments:
    """Read the command line (None: of this process) and the variables that stand for its arguments.

    Exits with 2 and one sentence on standard error when either is wrong.
    """
    parser = _parser()
    flags = vars(parser.parse_args(argv))
    command = flags.pop("command")
    try:
        return add_environment(command, flags)
    except UsageError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="drum", description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"drum {__version__}")
    parents = {"": parser.add_subparsers(required=True, metavar="COMMAND", title="commands", dest="command")}
    for command in COMMANDS:
        *group, name = command.name.split()
        _add_command(_subcommands(parents, " ".join(group)), name, command)
    return parser


def _subcommands(parents: dict[str, Any], group: str) -> Any:
    """Where a command is added: beside the others, or below the first word of its name."""
    if group not in parents:
        words = [command.name.partition(" ")[2] for command in COMMANDS if command.name.startswith(f"{group} ")]
        about = f"make a new {' or '.join(words)}" if group == "new" else None
        parser = parents[""].add_parser(group, help=about, description=about, allow_abbrev=False)
        parents[group] = parser.add_subparsers(required=True, metavar="WHAT", title="commands", dest="command")
    return parents[group]


def _add_command(commands: Any, name: str, command: Command) -> None:
    epilog = f"{_PRECEDENCE}\n\n{_PARAMETERS}\n{help_text()}" if command.name == SERVER else _PRECEDENCE
    parser = commands.add_parser(
        name,
        help=command.summary,
        description=command.description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(command=command.name)
    for field, row in arguments_of(command.name):
        _add(parser, field, row)


def _add(parser: argparse.ArgumentParser, name: str, row: Argument) -> None:
    names = [row.flag] if row.short is None else [row.flag, row.short]
    options: dict[str, Any] = {"dest": name, "default": None, "help": f"{row.help} [{row.environment}]"}
    if row.kind is ArgumentKind.SWITCH:
        options["action"] = "store_true"
    elif row.kind is ArgumentKind.INTEGERS:
        options |= {"type": _converter(row), "nargs": "+", "action": _Integers, "metavar": row.metavar}
    elif row.kind is ArgumentKind.LABELS:
        options |= {"nargs": "+", "action": _Labels, "metavar": row.metavar}
    else:
        options |= {"type": _converter(row), "metavar": row.metavar}
    parser.add_argument(*names, **options)


def _converter(row: Argument) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return row.convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


class _Labels(argparse.Action):
    """Each word is a label, so a quoted one may hold blanks; one word alone is split at its blanks."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        words = tuple(values or ())
        setattr(namespace, self.dest, tuple(words[0].split()) if len(words) == 1 else words)


class _Integers(argparse.Action):
    """The numbers of all words, each of which may hold several."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, tuple(number for numbers in values or () for number in numbers))
