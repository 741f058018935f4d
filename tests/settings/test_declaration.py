"""Declared parameters: parsing by kind, limits, choices and aliases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.drum.settings.declaration import Resolution, parameter, resolve
from datarobot_drum.drum.settings.value_parsers import Kind
from datarobot_drum.runtime_parameters.origins import DEFAULT, Found
from tests.cases import each_case


@dataclass(frozen=True)
class Sample:
    """One parameter of each kind."""

    name: str = parameter("DRUM_NAME", Kind.STRING, "A name.", default="x")
    colour: str = parameter(
        "DRUM_COLOUR",
        Kind.CHOICE,
        "A colour.",
        default="red",
        choices=("red", "blue"),
        choice_aliases={"azure": "blue"},
        servers=("fastapi",),
    )
    count: int = parameter("DRUM_COUNT", Kind.INTEGER, "A count.", computed="2 x names", limits=(1, 10))
    wait: float = parameter(
        "DRUM_WAIT", Kind.SECONDS, "A wait.", default=0.5, limits=(0, 3600), aliases=("DRUM_OLD_WAIT",)
    )
    size: int = parameter("DRUM_SIZE", Kind.SIZE, "A size.", default="1KB")
    switch: bool = parameter("DRUM_SWITCH", Kind.BOOLEAN, "A switch.", default=False)


def _resolve(given: dict[str, Any]) -> Resolution:
    def find(names: Sequence[str]) -> Found | None:
        return next((Found(name, given[name], DEFAULT) for name in names if name in given), None)

    return resolve(Sample, find)


def _read(name: str, raw: Any) -> Any:
    resolution = _resolve({name: raw})
    if resolution.errors:
        raise resolution.errors[0]
    (value,) = resolution.values.values()
    return value


@each_case(
    ("name", "raw", "value"),
    [
        ("DRUM_NAME", "some text", "some text"),
        ("DRUM_NAME", 5, "5"),
        ("DRUM_COLOUR", " BLUE ", "blue"),
        ("DRUM_COLOUR", "Azure", "blue"),
        ("DRUM_COUNT", "7", 7),
        ("DRUM_COUNT", 7, 7),
        ("DRUM_COUNT", 7.0, 7),
        ("DRUM_WAIT", "1.5", 1.5),
        ("DRUM_OLD_WAIT", "1.5", 1.5),
        ("DRUM_SIZE", "100MB", 100 * 1024**2),
        ("DRUM_SIZE", "1.5 kb", 1536),
        ("DRUM_SIZE", 104857600, 104857600),
        ("DRUM_SIZE", "0", 0),
        ("DRUM_SIZE", "0.0001KB", 1),
        ("DRUM_SWITCH", "1", True),
        ("DRUM_SWITCH", "anything", True),
        ("DRUM_SWITCH", True, True),
        ("DRUM_SWITCH", "Off", False),
        ("DRUM_SWITCH", "FALSE", False),
        ("DRUM_SWITCH", 0, False),
        ("DRUM_SWITCH", False, False),
    ],
)
def test_value_is_parsed_by_kind(name: str, raw: Any, value: Any) -> None:
    result = _read(name, raw)
    assert result == value
    assert type(result) is type(value)


@each_case(("raw", "value"), [("0", 1), ("-5", 1), ("11", 10), ("1e30", 10)])
def test_number_out_of_range_is_clamped_with_warning(raw: str, value: int, caplog: pytest.LogCaptureFixture) -> None:
    assert _read("DRUM_COUNT", raw) == value
    assert "is outside 1 to 10" in caplog.text
    assert "DRUM_COUNT" in caplog.text


def test_number_in_range_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    _read("DRUM_COUNT", "10")
    assert not caplog.records


def test_unknown_choice_becomes_default_with_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert _read("DRUM_COLOUR", "green") == "red"
    assert "DRUM_COLOUR='green' is unknown: red is used. Valid values: red, blue, azure." in caplog.text


@each_case(
    ("name", "raw"),
    [
        ("DRUM_COUNT", "many"),
        ("DRUM_COUNT", "1.5"),
        ("DRUM_COUNT", "1_0"),
        ("DRUM_COUNT", "٣"),
        ("DRUM_COUNT", "nan"),
        ("DRUM_COUNT", "9" * 5000),
        ("DRUM_COUNT", True),
        ("DRUM_COUNT", [1]),
        ("DRUM_WAIT", "inf"),
        ("DRUM_OLD_WAIT", "soon"),
        ("DRUM_WAIT", "30s"),
        ("DRUM_SIZE", "-1"),
        ("DRUM_SIZE", "1.5"),
        ("DRUM_SIZE", "100 TB"),
        ("DRUM_SIZE", True),
        ("DRUM_NAME", {"a": 1}),
    ],
)
def test_invalid_value_raises_error_with_given_name(name: str, raw: Any) -> None:
    with pytest.raises(RuntimeParameterError, match=f"^Runtime parameter {name} must be .*\\.$"):
        _read(name, raw)


def test_missing_values_are_left_out() -> None:
    assert _resolve({}).values == {}


def test_one_error_keeps_other_values() -> None:
    resolution = _resolve({"DRUM_COUNT": "x", "DRUM_WAIT": "2"})
    assert resolution.values == {"wait": 2.0}
    assert len(resolution.errors) == 1
