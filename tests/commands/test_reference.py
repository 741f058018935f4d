"""The tables of docs/reference/reference.md and the help text are generated from the declarations."""

from dataclasses import dataclass
from pathlib import Path

from datarobot_drum.drum.cli import parameters_help
from datarobot_drum.drum.commands.reference import arguments_table, commands_table, parameters_table, refresh
from datarobot_drum.drum.settings.declaration import COMMAND_NAMES, parameter
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETER_NAMES
from datarobot_drum.drum.settings.value_parsers import Kind

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "reference.md").read_text(encoding="utf-8")


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


def test_readme_tables_are_up_to_date() -> None:
    assert refresh(REFERENCE) == REFERENCE, (
        "run: python -m datarobot_drum.drum.commands.reference docs/reference/reference.md"
    )


def test_readme_names_every_parameter_and_flag() -> None:
    assert not [name for name in SERVER_PARAMETER_NAMES if f"`{name}`" not in REFERENCE]
    assert not [command for command in COMMAND_NAMES if arguments_table(command) not in REFERENCE]
    assert commands_table() in REFERENCE


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
