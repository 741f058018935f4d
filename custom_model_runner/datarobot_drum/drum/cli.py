"""The command-line parser: arguments as plain values. Imports nothing heavy."""

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NoReturn

from datarobot_drum.drum.commands.completion import complete_words
from datarobot_drum.drum.commands.registry import COMMANDS, Command
from datarobot_drum.drum.error_text import did_you_mean, printable
from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.arguments import Arguments, arguments_of
from datarobot_drum.drum.settings.build import complete_arguments
from datarobot_drum.drum.settings.declaration import CONFIG, SERVE, SERVER, Argument, Parameter, settings_of
from datarobot_drum.drum.settings.environment import is_completing
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
_FOLDER = "folder"
_COMMAND_NAMES = tuple(command.name for command in COMMANDS)


class _Parser(argparse.ArgumentParser):
    """Reports errors in one sentence, without the usage text."""

    hidden: ClassVar[tuple[str, ...]] = ()
    """Words of the command line that may be secrets."""

    def error(self, message: str) -> NoReturn:
        for word in sorted(self.hidden, key=len, reverse=True):
            message = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", MASK, message)
        self.exit(UsageError.exit_code, f"{self.prog}: error: {printable(mask_secrets(message))}\n")


class _TopParser(_Parser):
    """The parser of ``drum`` itself, whose help lists the commands by purpose."""

    def format_help(self) -> str:
        lines = ["usage: drum COMMAND [FOLDER] [--flag VALUE ...]", "", _DESCRIPTION]
        width = max(len(name) for name in _COMMAND_NAMES) + 2
        for group in dict.fromkeys(command.group for command in COMMANDS):
            lines += ["", f"{group}:"]
            lines += [f"  {command.name:{width}}{command.summary}" for command in COMMANDS if command.group == group]
        examples = [example for command in COMMANDS for example in command.examples[:1] if command.group != "Shell"]
        lines += ["", "Examples:", *(f"  {example}" for example in examples)]
        lines += ["", "drum COMMAND --help lists the flags of a command, drum --version prints the version."]
        return "\n".join([*lines, ""])


def parse_arguments(argv: Sequence[str] | None = None) -> Arguments:
    """Parse the command line (None: that of this process), completed from environment variables.

    Exits with 2 and one sentence on standard error if either is wrong.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    if is_completing():
        complete_words(parser)
    _Parser.hidden = tuple(_possible_secrets(words))
    _require_known_command(parser, words)
    namespace, unknown = parser.parse_known_args(words)
    flags = vars(namespace)
    command = flags.pop("command")
    if unknown:
        parser.error(_unknown_words(unknown, command))
    try:
        return complete_arguments(command, _with_folder(flags))
    except UsageError as error:
        parser.error(str(error))


def _require_known_command(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Report an unknown command, with the nearest one."""
    group = ""
    for word in words:
        if word.startswith("-"):
            return
        known = dict.fromkeys(name.split()[0] for name in _names_below(group))
        if word not in known:
            hint = did_you_mean(word, known)
            if not group and not hint and os.path.isdir(word):
                hint = f" (did you mean drum {SERVER} {word}?)"
            found = f"{group} {word}".strip()
            parser.error(f"there is no command {found!r}{hint}: choose from {', '.join(known)}.")
        group = f"{group} {word}".strip()
        if not any(name.startswith(f"{group} ") for name in _COMMAND_NAMES):
            return


def _names_below(group: str) -> Iterator[str]:
    """Yield the names of commands in a group, without the group."""
    return (name.removeprefix(f"{group} ") for name in _COMMAND_NAMES if not group or name.startswith(f"{group} "))


def _unknown_words(words: Sequence[str], command: str) -> str:
    """Return the message about words that the command does not take; values may be secrets and are left out."""
    own = {flag for declared in arguments_of(command).values() for flag in (declared.flag, declared.short) if flag}
    flags = [word.partition("=")[0] for word in words if word.startswith("-")]
    if not flags:
        return f"unexpected argument {words[0]!r}: drum {command} takes one folder."
    sentences = []
    for flag in flags:
        others = [other.name for other in COMMANDS if flag in {own.flag for own in arguments_of(other.name).values()}]
        reason = f" (of drum {', drum '.join(others)})" if others else did_you_mean(flag, own)
        sentences.append(f"{flag}{reason}")
    return f"drum {command} has no argument {', '.join(sentences)}."


def _with_folder(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags with the folder that was given without a flag.

    Raises:
        UsageError: ``--code-dir`` is another folder.
    """
    folder = flags.pop(_FOLDER, None)
    if folder is None:
        return flags
    if folder in _Parser.hidden and not os.path.isdir(folder):  # the value of a secret flag that has blanks
        raise UsageError(f"unexpected argument {folder!r}: there is no such folder.")
    other = flags.get("code_dir")
    if other is not None and os.path.realpath(other) != os.path.realpath(folder):
        raise UsageError(f"two model folders are given, {folder} and --code-dir {other}: give one.")
    return {**flags, "code_dir": folder}


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
    parser = _TopParser(prog="drum", description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"drum {__version__}")
    subparsers = parser.add_subparsers(
        required=True, metavar="COMMAND", title="commands", dest="command", parser_class=_Parser
    )
    parents = {"": subparsers}
    for command in COMMANDS:
        *group, name = command.name.split()
        _add_command(_subcommands(parents, " ".join(group)), name, command)
    return parser


def _subcommands(parents: dict[str, Any], group: str) -> Any:
    """Return the subparsers for a command: the top-level ones, or those of its group."""
    if group not in parents:
        words = [command.name.partition(" ")[2] for command in COMMANDS if command.name.startswith(f"{group} ")]
        about = f"make a new {' or '.join(words)}" if group == "new" else "print the completion script of a shell"
        parser = parents[""].add_parser(group, help=about, description=about, allow_abbrev=False)
        parents[group] = parser.add_subparsers(required=True, metavar="WHAT", title="commands", dest="command")
    return parents[group]


def _add_command(commands: Any, name: str, command: Command) -> None:
    epilog = (
        f"{_PRECEDENCE}\n\n{_PARAMETERS}\n{parameters_help()}"
        if command.name in (SERVER, SERVE, CONFIG)
        else _PRECEDENCE
    )
    if command.examples:
        epilog = "\n  ".join(["examples:", *command.examples]) + f"\n\n{epilog}"
    parser = commands.add_parser(
        name,
        help=command.summary,
        description=command.description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(command=command.name)
    if "code_dir" in arguments_of(command.name):
        parser.add_argument(_FOLDER, nargs="?", metavar="FOLDER", help="Folder of the model, as --code-dir.")
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
    action: Any = parser.add_argument(*flags, **options)
    if declared.choices:
        action.completer = lambda **_: declared.choices  # what argcomplete offers


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
