"""Completion of the words of ``drum`` in a shell, by argcomplete."""

import argparse
import sys
from importlib.util import find_spec

from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.settings.arguments import Arguments

SUCCESS = 0


def print_script(arguments: Arguments) -> int:
    """Print the script of the shell that the command names.

    Raises:
        StartupError: the extra is missing.
    """
    if find_spec("argcomplete") is None:
        raise StartupError("drum completion needs the extra terminal: pip install 'datarobot-drum[terminal]'.")
    shell = arguments.command.split()[-1]
    sys.stdout.write(import_from_string("argcomplete:shellcode")(["drum"], shell=shell) + "\n")
    return SUCCESS


def complete_words(parser: argparse.ArgumentParser) -> None:
    """Print the words that may come next and exit the process; without the extra do nothing."""
    if find_spec("argcomplete") is not None:
        import_from_string("argcomplete:autocomplete")(parser, always_complete_options=False)
