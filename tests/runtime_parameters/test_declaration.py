from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.runtime_parameters.declaration import (
    Kind,
    help_text_of,
    markdown_table_of,
    parameter,
    parse_integer,
    parse_number,
    parse_size,
    resolve,
)


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
        aliases={"azure": "blue"},
        servers=("fastapi",),
    )
    count: int = parameter("DRUM_COUNT", Kind.INTEGER, "A count.", computed="2 x names", limits=(1, 10))
    wait: float = parameter("DRUM_WAIT", Kind.SECONDS, "A wait.", default=0.5, limits=(0, 3600))
    size: int = parameter("DRUM_SIZE", Kind.SIZE, "A size.", default="1KB")
    switch: bool = parameter("DRUM_SWITCH", Kind.BOOLEAN, "A switch.", default=False)


def _read(name: str, raw: Any) -> Any:
    resolution = resolve(Sample, {name: raw}.get)
    if resolution.errors:
        raise resolution.errors[0]
    (value,) = resolution.values.values()
    return value


@pytest.mark.parametrize(
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
        ("DRUM_WAIT", "0", 0.0),
        ("DRUM_SIZE", "100MB", 100 * 1024**2),
        ("DRUM_SIZE", "1.5 kb", 1536),
        ("DRUM_SIZE", 104857600, 104857600),
        ("DRUM_SIZE", 1024.0, 1024),
        ("DRUM_SIZE", "0", 0),
        ("DRUM_SIZE", "0.0001KB", 1),
        ("DRUM_SWITCH", "1", True),
        ("DRUM_SWITCH", "yes", True),
        ("DRUM_SWITCH", "anything", True),
        ("DRUM_SWITCH", True, True),
        ("DRUM_SWITCH", "Off", False),
        ("DRUM_SWITCH", "no", False),
        ("DRUM_SWITCH", "FALSE", False),
        ("DRUM_SWITCH", 0, False),
        ("DRUM_SWITCH", False, False),
    ],
)
def test_a_value_is_read_by_its_kind(name: str, raw: Any, value: Any) -> None:
    result = _read(name, raw)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(("raw", "value"), [("0", 1), ("-5", 1), ("11", 10), ("1e30", 10)])
def test_a_number_out_of_range_is_moved_to_the_limit_with_a_warning(
    raw: str, value: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert _read("DRUM_COUNT", raw) == value
    assert "is outside 1 to 10" in caplog.text
    assert "DRUM_COUNT" in caplog.text


def test_a_number_in_range_is_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    _read("DRUM_COUNT", "10")
    assert not caplog.records


def test_an_unknown_choice_is_the_default_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert _read("DRUM_COLOUR", "green") == "red"
    assert "DRUM_COLOUR='green' is unknown: red is used. Valid values: red, blue, azure." in caplog.text


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("DRUM_COUNT", "many"),
        ("DRUM_COUNT", "1.5"),
        ("DRUM_COUNT", "1_0"),
        ("DRUM_COUNT", "٣"),
        ("DRUM_COUNT", "nan"),
        ("DRUM_COUNT", "1e999"),
        ("DRUM_COUNT", "9" * 5000),
        ("DRUM_COUNT", True),
        ("DRUM_COUNT", [1]),
        ("DRUM_WAIT", "inf"),
        ("DRUM_WAIT", "30s"),
        ("DRUM_SIZE", "-1"),
        ("DRUM_SIZE", "1.5"),
        ("DRUM_SIZE", "100 TB"),
        ("DRUM_SIZE", True),
        ("DRUM_NAME", {"a": 1}),
        ("DRUM_COLOUR", ["red"]),
    ],
)
def test_what_is_no_such_value_is_an_error_that_names_the_parameter(name: str, raw: Any) -> None:
    with pytest.raises(RuntimeParameterError, match=f"^Runtime parameter {name} must be .*\\.$"):
        _read(name, raw)


def test_what_is_not_given_is_left_out() -> None:
    assert resolve(Sample, lambda _: None).values == {}


def test_one_error_does_not_hide_the_other_values() -> None:
    resolution = resolve(Sample, {"DRUM_COUNT": "x", "DRUM_WAIT": "2"}.get)
    assert resolution.values == {"wait": 2.0}
    assert len(resolution.errors) == 1


@pytest.mark.parametrize("parse", [parse_number, parse_integer, parse_size])
@given(text=st.text() | st.from_regex(r"\A[+-]?[0-9.]{0,12}([eE][0-9]{1,4})?( ?[kKmMgG][bB])?\Z"))
def test_any_text_is_a_number_or_a_value_error(parse: Callable[[str], float], text: str) -> None:
    try:
        assert isinstance(parse(text), int | float)
    except ValueError as error:
        assert str(error).startswith("must be")


@given(
    st.integers(min_value=0, max_value=2**53),
    st.sampled_from(["", "KB", "MB", "GB"]),
    st.sampled_from(["", " "]),
)
def test_sizes_count_in_powers_of_1024(amount: int, unit: str, blank: str) -> None:
    factor = {"": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}[unit]
    assert parse_size(f"{amount}{blank}{unit}") == amount * factor


def test_the_markdown_table_has_a_row_for_each_parameter() -> None:
    rows = markdown_table_of(Sample).splitlines()
    assert len(rows) == 2 + 6
    assert rows[3] == "| `DRUM_COLOUR` | choice | red | red, blue, azure = blue | fastapi | A colour. |"
    assert "| 2 x names | 1 to 10 |" in rows[4]


def test_the_help_text_tells_default_and_range() -> None:
    text = help_text_of(Sample)
    assert "DRUM_COUNT\n      A count. (1 to 10; default 2 x names)" in text
    assert "(red, blue, azure = blue; default red; fastapi only)" in text
