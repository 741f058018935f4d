"""The generated tables of docs/reference.md are those of the declarations."""

from pathlib import Path

from datarobot_drum.drum.commands.reference import arguments_table, commands_table, refresh
from datarobot_drum.drum.settings.declaration import COMMAND_NAMES
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETER_NAMES

REFERENCE = (Path(__file__).parents[1] / "docs" / "reference.md").read_text(encoding="utf-8")


def test_the_tables_of_the_reference_are_up_to_date() -> None:
    assert refresh(REFERENCE) == REFERENCE, "run: python -m datarobot_drum.drum.commands.reference docs/reference.md"


def test_every_parameter_and_flag_stands_in_the_reference() -> None:
    assert not [name for name in SERVER_PARAMETER_NAMES if f"`{name}`" not in REFERENCE]
    assert not [command for command in COMMAND_NAMES if arguments_table(command) not in REFERENCE]
    assert commands_table() in REFERENCE


def test_what_stands_around_the_tables_is_left_alone() -> None:
    text = "before\n<!-- arguments: begin -->\nold\n<!-- arguments: end -->\nafter\n"
    assert refresh(text).startswith("before\n<!-- arguments: begin -->\n| flag |")
    assert refresh(text).endswith("|\n<!-- arguments: end -->\nafter\n")
