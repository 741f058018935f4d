"""The command line as plain values. It decides nothing and imports nothing heavy."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from datarobot_drum.drum.arguments import Argument, ArgumentKind, Arguments, arguments_of
from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.server_parameters import help_text
from datarobot_drum.drum.settings import add_environment
from datarobot_drum.version import __version__

__all__ = ["Arguments", "parse_arguments"]

_DESCRIPTION = "Serve a folder of model code over HTTP."
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
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    server = commands.add_parser(
        "server",
        help="run a prediction server",
        description="Run a prediction server.",
        epilog=f"{_PRECEDENCE}\n\n{_PARAMETERS}\n{help_text()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, row in arguments_of("server"):
        _add(server, name, row)
    return parser


def _add(parser: argparse.ArgumentParser, name: str, row: Argument) -> None:
    names = [row.flag] if row.short is None else [row.flag, row.short]
    options: dict[str, Any] = {"dest": name, "default": None, "help": f"{row.help} [{row.environment}]"}
    if row.kind is ArgumentKind.SWITCH:
        options["action"] = "store_true"
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
