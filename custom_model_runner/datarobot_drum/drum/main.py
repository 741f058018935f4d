"""The composition root of ``drum``: from arguments to the command they name. Only this module exits."""

import sys
import traceback
from collections.abc import Callable, Sequence

from datarobot_drum.drum.cli import parse_arguments
from datarobot_drum.drum.commands.registry import Command, find_command
from datarobot_drum.drum.exceptions import RequestError, StartupError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.process.logs import configure_logging
from datarobot_drum.drum.process.signals import abort_on_signals, exit_on_signals, exit_process
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.declaration import SERVER
from datarobot_drum.runtime_parameters import mask_secrets


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``drum``; ends the process with the exit code of cli-and-parameters.md section 8."""
    arguments = parse_arguments(argv)
    command = find_command(arguments.command)
    if command.name == SERVER:
        exit_on_signals()
    else:
        abort_on_signals()
    configure_logging(_logging_level(arguments, command))
    exit_process(run(command, arguments))


def run(command: Command, arguments: Arguments) -> int:
    """The exit code of a command; what keeps it from its work is told on standard error."""
    try:
        function: Callable[[Arguments], int] = import_from_string(command.function)
        return function(arguments)
    except StartupError as error:
        report(error, with_traceback=arguments.show_stacktrace)
        return error.exit_code
    except RequestError as error:  # a command may ask the model as a request does
        report(error, with_traceback=arguments.show_stacktrace)
        return error.exit_code


def _logging_level(arguments: Arguments, command: Command) -> str:
    return arguments.logging_level or ("debug" if arguments.verbose else command.logging_level)


def report(error: Exception, *, with_traceback: bool) -> None:
    """Say on standard error why a command failed, in one sentence unless a traceback was asked for."""
    if with_traceback:
        sys.stderr.write(mask_secrets("".join(traceback.format_exception(error))))
    sys.stderr.write(f"drum: error: {mask_secrets(str(error))}\n")
