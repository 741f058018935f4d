"""The tables of docs/reference and the help text are generated from the declarations."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datarobot_drum.drum.cli import parameters_help
from datarobot_drum.drum.commands.exit_codes import EXIT_CODES
from datarobot_drum.drum.commands.reference import (
    arguments_table,
    commands_table,
    exit_codes_table,
    metrics_table,
    parameters_table,
    refresh,
    routes_table,
)
from datarobot_drum.drum.commands.score.command import EXIT_BROKEN_PIPE
from datarobot_drum.drum.exceptions import DrumError
from datarobot_drum.drum.management.watchdog.watchdog import EXIT_CODE as WATCHDOG_EXIT_CODE
from datarobot_drum.drum.serving.metrics import families
from datarobot_drum.drum.serving.routes import METRICS_ROUTE, ROUTES
from datarobot_drum.drum.settings.declaration import COMMAND_NAMES, parameter
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETER_NAMES
from datarobot_drum.drum.settings.value_parsers import Kind
from datarobot_drum.drum.uvicorn.supervisor import WORKER_FAILED_TO_START
from tests.cases import each_case

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
REFERENCE, METRICS, ROUTES_PAGE = (
    (FOLDER / f"{name}.md").read_text(encoding="utf-8") for name in ("reference", "metrics", "routes")
)


@dataclass(frozen=True)
class Sample:
    """Two parameters."""

    colour: str = parameter(
        "DRUM_COLOUR",
        Kind.CHOICE,
        "A colour.",
        default="red",
        choices=("red", "blue"),
        choice_aliases={"azure": "blue"},
        servers=("fastapi",),
    )
    count: int = parameter(
        "DRUM_COUNT", Kind.INTEGER, "A count.", computed="2 x names", limits=(1, 10), aliases=("DRUM_NUMBER",)
    )


@each_case("page", [REFERENCE, METRICS, ROUTES_PAGE], ids=["reference", "metrics", "routes"])
def test_tables_are_up_to_date(page: str) -> None:
    assert refresh(page) == page, "run: make docs"


def test_reference_names_every_parameter_and_flag() -> None:
    assert not [name for name in SERVER_PARAMETER_NAMES if f"`{name}`" not in REFERENCE]
    assert not [command for command in COMMAND_NAMES if arguments_table(command) not in REFERENCE]
    assert commands_table() in REFERENCE


def test_reference_names_every_metric_and_route() -> None:
    assert metrics_table() in METRICS and routes_table() in ROUTES_PAGE
    assert not [name for name in families.names() if f"| `{name}` |" not in METRICS]
    paths = [path or "/" for route in (*ROUTES, METRICS_ROUTE) for path in route.paths]
    assert not [path for path in paths if f"`{path}`" not in ROUTES_PAGE and f"`{path}/{{path}}`" not in ROUTES_PAGE]


def _error_types(base: type[Exception]) -> Iterator[type[Exception]]:
    for error in base.__subclasses__():
        yield error
        yield from _error_types(error)


def test_reference_names_every_exit_code() -> None:
    assert exit_codes_table() in REFERENCE
    used = {error.exit_code for error in _error_types(DrumError) if hasattr(error, "exit_code")}
    used |= {EXIT_BROKEN_PIPE, WATCHDOG_EXIT_CODE, WORKER_FAILED_TO_START, *(128 + number for number in _SIGNALS)}
    assert not used - {code for entry in EXIT_CODES for code in entry.codes}


def test_refresh_keeps_surrounding_text() -> None:
    text = "before\n<!-- arguments: begin -->\nold\n<!-- arguments: end -->\nafter\n"
    assert refresh(text).startswith("before\n<!-- arguments: begin -->\n| flag |")
    assert refresh(text).endswith("|\n<!-- arguments: end -->\nafter\n")


def test_parameters_table_has_a_row_per_parameter() -> None:
    rows = parameters_table(Sample).splitlines()
    assert rows[2] == "| `DRUM_COLOUR` | choice | red | red, blue, azure = blue | fastapi | A colour. |"
    assert rows[3].startswith("| `DRUM_COUNT` (also: `DRUM_NUMBER`) | integer | 2 x names | 1 to 10 |")
    assert len(rows) == 4


def test_parameters_help_shows_default_range_servers_and_aliases() -> None:
    text = parameters_help(Sample)
    assert "DRUM_COUNT\n      A count. (1 to 10; default 2 x names; also: DRUM_NUMBER)" in text
    assert "(red, blue, azure = blue; default red; fastapi only)" in text
