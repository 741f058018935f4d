"""Generator of the tables in ``docs/reference/reference.md`` from the declarations.

``python -m datarobot_drum.drum.commands.reference docs/reference/reference.md`` updates the tables between markers.
"""

import re
import sys
from pathlib import Path

from datarobot_drum.drum.commands.registry import COMMANDS
from datarobot_drum.drum.settings.arguments import arguments_of
from datarobot_drum.drum.settings.declaration import COMMAND_NAMES, SERVER, Argument, Parameter, settings_of
from datarobot_drum.drum.settings.server_parameters import ServerParameters


def arguments_table(command: str = SERVER) -> str:
    """Return the flags of a subcommand as a Markdown table; flags shared with the server are only named."""
    shared = arguments_of(SERVER) if command != SERVER else {}
    rows = [_row(argument) for name, argument in arguments_of(command).items() if name not in shared]
    inherited = [f"`{argument.flag}`" for name, argument in arguments_of(command).items() if name in shared]
    if inherited:
        rows.append(f"| {', '.join(inherited)} | | As for `drum server`. |")
    return "\n".join(["| flag | variable | effect |", "| --- | --- | --- |", *rows])


def commands_table() -> str:
    """Return the subcommands as a Markdown table."""
    rows = [f"| `drum {command.name}` | {command.description} |" for command in COMMANDS]
    return "\n".join(["| command | what it does |", "| --- | --- |", *rows])


def parameters_table(owner: type = ServerParameters) -> str:
    """Return the parameters of a dataclass as a Markdown table."""
    header = ["| parameter | kind | default | values | servers | effect |", "| --- | --- | --- | --- | --- | --- |"]
    return "\n".join([*header, *map(_parameter_row, settings_of(owner).values())])


def _parameter_row(parameter: Parameter) -> str:
    aliases = f" (also: {', '.join(f'`{name}`' for name in parameter.aliases)})" if parameter.aliases else ""
    cells = (
        f"`{parameter.name}`{aliases}",
        parameter.kind.value,
        parameter.default_text,
        parameter.range_text,
        ", ".join(parameter.servers),
        parameter.help,
    )
    return f"| {' | '.join(cells)} |"


def _row(argument: Argument) -> str:
    names = ", ".join(f"`{name}`" for name in (argument.flag, argument.short) if name)
    return f"| {names} | `{argument.name}` | {argument.help} |"


def _marker(command: str) -> str:
    return "arguments" if command == SERVER else f"arguments of {command}"


def refresh(text: str) -> str:
    """Return ``text`` with every table between its markers regenerated."""
    tables = {_marker(command): arguments_table(command) for command in COMMAND_NAMES}
    tables |= {"commands": commands_table(), "server-parameters": parameters_table()}
    for name, table in tables.items():
        start, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        block = f"{start}\n{table.strip()}\n{end}"
        text = re.sub(f"{re.escape(start)}.*?{re.escape(end)}", block.replace("\\", r"\\"), text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(refresh(path.read_text(encoding="utf-8")), encoding="utf-8")
