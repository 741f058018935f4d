"""Generator of the tables in ``docs/reference`` from the declarations.

``python -m datarobot_drum.drum.commands.reference docs/reference/*.md`` updates the tables between their markers.
"""

import re
import sys
from pathlib import Path

from datarobot_drum.drum.commands.exit_codes import EXIT_CODES
from datarobot_drum.drum.commands.registry import COMMANDS
from datarobot_drum.drum.serving.metrics import families
from datarobot_drum.drum.serving.metrics.families import FAMILIES, Family, Kind
from datarobot_drum.drum.serving.openapi.operations import OPERATIONS
from datarobot_drum.drum.serving.routes import METRICS_ROUTE, ROUTES, Execution, Route
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


def exit_codes_table() -> str:
    """Return the exit codes as a Markdown table."""
    rows = [f"| {', '.join(str(int(code)) for code in entry.codes)} | {entry.meaning} |" for entry in EXIT_CODES]
    return "\n".join(["| code | meaning |", "| --- | --- |", *rows])


def metrics_table() -> str:
    """Return the metrics of the server as a Markdown table."""
    first, *others = _METRICS_WITHOUT_CELLS
    rows = [_metric_row(*first), *map(_family_row, FAMILIES), *(_metric_row(*other) for other in others)]
    return "\n".join(["| metric | type | labels | meaning |", "| --- | --- | --- | --- |", *rows])


_METRICS_WITHOUT_CELLS = (
    (families.REQUESTS_NAME, Kind.COUNTER, "`route`, `status`", families.REQUESTS_HELP),
    (
        families.MODEL_INFO_NAME,
        Kind.GAUGE,
        "`model`, `version`, `target_type`, `framework`, `server`, `drum_version`",
        families.MODEL_INFO_HELP,
    ),
    (families.RESTARTS_NAME, Kind.COUNTER, "", families.RESTARTS_HELP),
    (families.START_TIME_NAME, Kind.GAUGE, "", families.START_TIME_HELP),
)


def _family_row(family: Family) -> str:
    label = f"`{family.label}`: {', '.join(f'`{value}`' for value in family.values)}" if family.label else ""
    return _metric_row(family.name, family.kind, label, family.help)


def _metric_row(name: str, kind: Kind, labels: str, text: str) -> str:
    return f"| `{name}` | {kind.value} | {labels} | {text} |"


_RUNS = {
    Execution.INLINE: "at once",
    Execution.PROBE: "at once",
    Execution.STATUS_POOL: "on a status thread",
    Execution.EXECUTOR: "admitted, with a slot",
    Execution.ENGINE: "passed on to the engine",
}


def routes_table() -> str:
    """Return the routes of the server as a Markdown table."""
    rows = [_route_row(route) for route in (*ROUTES, METRICS_ROUTE)]
    header = ["| methods | paths | purpose | errors as for | runs |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*header, *rows])


def _route_row(route: Route) -> str:
    below = "/{path}" if route.needs_subpath else ""
    paths = [f"{path}{below}" or "/" for path in route.paths]
    paths += [f"{path}/{{path}}" for path in route.paths if route.has_subpath and not route.needs_subpath]
    clients = "OpenAI" if route.for_openai else "KServe" if route.for_v2 else ""
    purpose = "Get the metrics" if route is METRICS_ROUTE else OPERATIONS[route.handler].summary
    cells = (
        ", ".join(route.methods),
        ", ".join(f"`{path}`" for path in paths),
        purpose,
        clients,
        _RUNS[route.execution],
    )
    return f"| {' | '.join(cells)} |"


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
    tables |= {
        "commands": commands_table(),
        "server-parameters": parameters_table(),
        "exit-codes": exit_codes_table(),
        "metrics": metrics_table(),
        "routes": routes_table(),
    }
    for name, table in tables.items():
        start, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        block = f"{start}\n{table.strip()}\n{end}"
        text = re.sub(f"{re.escape(start)}.*?{re.escape(end)}", block.replace("\\", r"\\"), text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(refresh(path.read_text(encoding="utf-8")), encoding="utf-8")
