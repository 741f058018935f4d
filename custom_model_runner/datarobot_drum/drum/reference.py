"""The tables of the README, made from the declarations they describe.

``python -m datarobot_drum.drum.reference README.md`` writes them between their markers.
"""

import re
import sys
from pathlib import Path

from datarobot_drum.drum.arguments import Argument, arguments_of
from datarobot_drum.drum.server_parameters import markdown_table as parameters_table


def arguments_table(command: str = "server") -> str:
    """The flags of a subcommand as a Markdown table."""
    rows = [_row(argument) for _, argument in arguments_of(command)]
    return "\n".join(["| flag | variable | effect |", "| --- | --- | --- |", *rows])


def _row(argument: Argument) -> str:
    names = ", ".join(f"`{name}`" for name in (argument.flag, argument.short) if name)
    return f"| {names} | `{argument.environment}` | {argument.help} |"


def refresh(text: str) -> str:
    """``text`` with every generated table between its markers made anew."""
    for name, table in {"arguments": arguments_table(), "server-parameters": parameters_table()}.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        block = f"{begin}\n{table.strip()}\n{end}"
        text = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", block.replace("\\", r"\\"), text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(refresh(path.read_text(encoding="utf-8")), encoding="utf-8")
