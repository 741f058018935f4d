"""Generator of the tables in ``docs/reference.md`` from the declarations.

``python -m datarobot_drum.drum.commands.reference docs/reference.md`` updates the tables between their markers.
"""

import re
import sys
from pathlib import Path

from datarobot_drum.drum.commands.registry import COMMANDS
from datarobot_drum.drum.settings.arguments import arguments_of
from datarobot_drum.drum.settings.declaration import COMMAND_NAMES, SERVER, Argument
from datarobot_drum.drum.settings.server_parameters import markdown_table as parameters_table


def arguments_table(command: str = SERVER) -> str:
    """The flags of a subcommand as a Markdown table; those that the table of the server explains are named below it."""
    shared = dict(arguments_of(SERVER)) if command != SERVER else {}
    rows = [_row(argument) for name, argument in arguments_of(command) if name not in shared]
    as_there = [f"`{argument.flag}`" for name, argument in arguments_of(command) if name in shared]
    if as_there:
        rows.append(f"| {', '.join(as_there)} | | As for `drum server`. |")
    return "\n".join(["| flag | variable | effect |", "| --- | --- | --- |", *rows])


def commands_table() -> str:
    """The subcommands as a Markdown table."""
    rows = [f"| `drum {command.name}` | {command.description} |" for command in COMMANDS]
    return "\n".join(["| command | what it does |", "| --- | --- |", *rows])


def _row(argument: Argument) -> str:
    names = ", ".join(f"`{name}`" for name in (argument.flag, argument.short) if name)
    return f"| {names} | `{argument.environment}` | {argument.help} |"


def _marker(command: str) -> str:
    return "arguments" if command == SERVER else f"arguments of {command}"


def refresh(text: str) -> str:
    """``text`` with every generated table between its markers made anew."""
    tables = {_marker(command): arguments_table(command) for command in COMMAND_NAMES}
    tables |= {"commands": commands_table(), "server-parameters": parameters_table()}
    for name, table in tables.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        block = f"{begin}\n{table.strip()}\n{end}"
        text = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", block.replace("\\", r"\\"), text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(refresh(path.read_text(encoding="utf-8")), encoding="utf-8")
