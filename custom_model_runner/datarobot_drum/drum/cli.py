"""The command-line parser: arguments as plain values. Imports nothing heavy."""

import argparse
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NoReturn

from datarobot_drum.drum.commands.registry import COMMANDS, Command
from datarobot_drum.drum.error_text import printable
from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.arguments import Arguments, arguments_of
from datarobot_drum.drum.settings.build import complete_arguments
from datarobot_drum.drum.settings.declaration import CONFIG, SERVE, SERVER, Argument, Parameter, settings_of
from datarobot_drum.drum.settings.server_parameters import ServerParameters
from datarobot_drum.drum.settings.value_parsers import Kind
from datarobot_drum.runtime_parameters.masking import MASK, mask_secrets
from datarobot_drum.version import __version__

__all__ = ["Arguments", "parse_arguments"]

_DESCRIPTION = "Serve a folder of model code over HTTP, score files with it, and check it."
_PRECEDENCE = (
    "Every argument can also be set by the environment variable in brackets; the flag wins. Switches are on if\n"
    "their variable is set, unless it is empty, 0, false, no or off."
)
_PARAMETERS = (
    "server parameters, read from the variable MLOPS_RUNTIME_PARAM_<NAME>, else from --runtime-params-file,\n"
    "else from the variable <NAME>:"
)


_HELP_WIDTH = 78


class _Parser(argparse.ArgumentParser):
    """Reports errors in one sentence, without the usage text."""

    hidden: ClassVar[tuple[str, ...]] = ()
    """Words of the command line that may be secrets."""

    def error(self, message: str) -> NoReturn:
        for word in sorted(self.hidden, key=len, reverse=True):
            message = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", MASK, message)
        self.exit(UsageError.exit_code, f"{self.prog}: error: {printable(mask_secrets(message))}\n")


def parse_arguments(argv: Sequence[str] | None = None) -> Arguments:
    """Parse the command line (None: that of this process), completed from environment variables.

    Exits with 2 and one sentence on standard error if either is wrong.
    """
    parser = _parser()
    _Parser.hidden = tuple(_possible_secrets(sys.argv[1:] if argv is None else argv))
    flags = vars(parser.parse_args(argv))
    command = flags.pop("command")
    try:
        return complete_arguments(command, flags)
    except UsageError as error:
        parser.error(str(error))


def _possible_secrets(argv: Sequence[str]) -> Iterator[str]:
    """Yield the words after secret flags and after unknown ones, which may be a secret flag that is misspelt."""
    arguments = [declared for command in COMMANDS for declared in arguments_of(command.name).values()]
    public = {flag for declared in arguments if not declared.secret for flag in (declared.flag, declared.short)}
    commands = {word for command in COMMANDS for word in command.name.split()}
    is_hidden = False
    for word in argv:
        flag, _, value = word.partition("=")
        if word in public or flag.startswith("--"):
            is_hidden = flag not in public
            word = value
        if is_hidden and word and word not in commands:
            yield word


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="drum", description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"drum {__version__}")
    parents = {"": parser.add_subparsers(required=True, metavar="COMMAND", title="commands", dest="command")}
    for command in COMMANDS:
        *group, name = command.name.split()
        _add_command(_subcommands(parents, " ".join(group)), name, command)
    return parser


def _subcommands(parents: dict[str, Any], group: str) -> Any:
    """Return the subparsers for a command: the top-level ones, or those of its group."""
    if group not in parents:
        words = [command.name.partition(" ")[2] for command in COMMANDS if command.name.startswith(f"{group} ")]
        about = f"make a new {' or '.join(words)}" if group == "new" else None
        parser = parents[""].add_parser(group, help=about, description=about, allow_abbrev=False)
        parents[group] = parser.add_subparsers(required=True, metavar="WHAT", title="commands", dest="command")
    return parents[group]


def _add_command(commands: Any, name: str, command: Command) -> None:
    epilog = (
        f"{_PRECEDENCE}\n\n{_PARAMETERS}\n{parameters_help()}"
        if command.name in (SERVER, SERVE, CONFIG)
        else _PRECEDENCE
    )
    parser = commands.add_parser(
        name,
        help=command.summary,
        description=command.description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(command=command.name)
    for field, declared in arguments_of(command.name).items():
        _add_argument(parser, field, declared)


def parameters_help(owner: type = ServerParameters) -> str:
    """Return the description of all parameters of a dataclass as plain text."""
    return "\n".join(line for declared in settings_of(owner).values() for line in _parameter_help(declared))


def _parameter_help(declared: Parameter) -> Iterator[str]:
    facts = [f"{declared.range_text}; default {declared.default_text}"]
    facts += [f"{declared.servers[0]} only"] if len(declared.servers) == 1 else []
    facts += [f"also: {', '.join(declared.aliases)}"] if declared.aliases else []
    text = f"{declared.help} ({'; '.join(facts)})"
    yield f"  {declared.name}"
    yield textwrap.fill(text, _HELP_WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _add_argument(parser: argparse.ArgumentParser, field: str, declared: Argument) -> None:
    flags = [declared.flag] if declared.short is None else [declared.flag, declared.short]
    options: dict[str, Any] = {"dest": field, "default": None, "help": f"{declared.help} [{declared.name}]"}
    if declared.kind is Kind.BOOLEAN:
        options["action"] = "store_true"
    elif declared.kind is Kind.LABELS:
        options |= {"nargs": "+", "action": _Labels, "metavar": declared.metavar}
    elif declared.kind is Kind.INTEGERS:
        options |= {"type": _parser_of(declared), "nargs": "+", "action": _Integers, "metavar": declared.metavar}
    else:
        options |= {"type": _parser_of(declared), "metavar": declared.metavar}
    parser.add_argument(*flags, **options)


def _parser_of(declared: Argument) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return declared.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


class _Labels(argparse.Action):
    """Takes each word as a label, so a quoted label may contain blanks; a single word is split at its blanks."""

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
    """Joins the numbers of all words, each of which may contain several."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, tuple(number for numbers in values or () for number in numbers))
