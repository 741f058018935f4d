"""Each parser returns a value of its kind or raises ValueError, whatever the text."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.settings.value_parsers import Kind, parse_integer, parse_number, parse_size, parse_value
from tests.cases import each_case


@pytest.mark.parametrize("parse", [parse_number, parse_integer, parse_size])
@given(text=st.text() | st.from_regex(r"\A[+-]?[0-9.]{0,12}([eE][0-9]{1,4})?( ?[kKmMgG][bB])?\Z"))
def test_parser_returns_number_or_raises_value_error(parse: Callable[[str], float], text: str) -> None:
    try:
        assert isinstance(parse(text), int | float)
    except ValueError as error:
        assert str(error).startswith("must be")


@given(
    st.integers(min_value=0, max_value=2**53),
    st.sampled_from(["", "KB", "MB", "GB"]),
    st.sampled_from(["", " "]),
)
def test_size_units_are_powers_of_1024(amount: int, unit: str, blank: str) -> None:
    factor = {"": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}[unit]
    assert parse_size(f"{amount}{blank}{unit}") == amount * factor


@each_case(
    ("kind", "text", "value"),
    [(Kind.INTEGERS, "1 10,100", (1, 10, 100)), (Kind.INTEGERS, "", ()), (Kind.LABELS, " a  b ", ("a", "b"))],
)
def test_list_kinds_return_tuples(kind: Kind, text: str, value: tuple[object, ...]) -> None:
    assert kind.is_list
    assert parse_value(kind, text) == value
