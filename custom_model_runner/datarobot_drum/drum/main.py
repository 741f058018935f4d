"""The entry point of ``drum``: parses arguments and runs the command. Only this module exits the process."""

import sys
from collections.abc import Callable, Iterator, Sequence

from datarobot_drum.drum.cli import parse_arguments
from datarobot_drum.drum.commands.registry import Command, find_command
from datarobot_drum.drum.error_text import format_error, indented_lines, printable
from datarobot_drum.drum.exceptions import DrumError, RequestError, SettingsErrors, StartupError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.process.init import fork_from_init
from datarobot_drum.drum.process.logs import configure_logging
from datarobot_drum.drum.process.signals import abort_on_signals, exit_on_signals, exit_process
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.declaration import SERVER
from datarobot_drum.drum.settings.environment import allows_colour
from datarobot_drum.runtime_parameters import mask_secrets

_PREFIX, _RED, _PLAIN = "drum: error:", "\x1b[1;31m", "\x1b[0m"


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``drum`` and exit the process with the command's exit code."""
    arguments = parse_arguments(argv)
    command = find_command(arguments.command)
    if command.name == SERVER:
        fork_from_init()
        exit_on_signals()
    else:
        abort_on_signals()
    configure_logging(_logging_level(arguments, command))
    exit_process(run(command, arguments))


def run(command: Command, arguments: Arguments) -> int:
    """Run a command and return its exit code; report errors on standard error."""
    try:
        function: Callable[[Arguments], int] = import_from_string(command.function)
        return function(arguments)
    except StartupError as error:
        report(error, with_traceback=arguments.show_stacktrace)
        return error.exit_code
    except RequestError as error:  # commands call the model as requests do
        report(error, with_traceback=arguments.show_stacktrace)
        return error.exit_code


def _logging_level(arguments: Arguments, command: Command) -> str:
    return arguments.logging_level or ("debug" if arguments.verbose else command.logging_level)


def report(error: Exception, *, with_traceback: bool) -> None:
    """Write the error of a command to standard error, in one sentence, preceded by the traceback if requested."""
    if with_traceback:
        sys.stderr.write(f"{indented_lines(mask_secrets(format_error(error)))}\n")
    for line in _error_lines(error):
        sys.stderr.write(f"{line}\n")


def _error_lines(error: Exception) -> Iterator[str]:
    """Yield the message; of several errors a heading and a line each."""
    prefix = _PREFIX
    if sys.stderr.isatty() and allows_colour():
        prefix = f"{_RED}{_PREFIX}{_PLAIN}"
    if isinstance(error, SettingsErrors):
        yield f"{prefix} {error.heading}"
        yield from (f"  - {printable(mask_secrets(own.located_message))}" for own in error.errors)
    else:
        message = error.located_message if isinstance(error, DrumError) else str(error)
        yield f"{prefix} {printable(mask_secrets(message))}"
