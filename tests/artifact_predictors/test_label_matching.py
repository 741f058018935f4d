"""Labels are compared as text, then as numbers; ambiguous ones do not match."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.artifact_predictors.label_matching import as_label, match_labels
from tests.cases import each_case


@each_case(
    ("declared", "found", "matches"),
    [
        pytest.param(["no", "yes"], ["yes", "no"], {"no": 1, "yes": 0}, id="text"),
        pytest.param(["0", "1"], [1, 0], {"0": 1, "1": 0}, id="int"),
        pytest.param(["0", "1"], np.array([0.0, 1.0]), {"0": 0, "1": 1}, id="float array"),
        pytest.param(["0", "1"], ["1.0", "0.0"], {"0": 1, "1": 0}, id="float text"),
        pytest.param(["1.0", "0.0"], [0, 1], {"1.0": 1, "0.0": 0}, id="declared as float"),
        pytest.param(["False", "True"], np.array([False, True]), {"False": 0, "True": 1}, id="bool"),
        pytest.param(["false", "true"], [False, True], {"false": 0, "true": 1}, id="bool in lower case"),
        pytest.param(["0", "1"], [False, True], {"0": 0, "1": 1}, id="bool for 0 and 1"),
        pytest.param(["False", "True"], [0, 1], {"False": 0, "True": 1}, id="0 and 1 for bool"),
        pytest.param(["no", "yes"], [" yes", "no "], {"no": 1, "yes": 0}, id="blanks"),
        pytest.param([" a b", "c"], ["c", "a b"], {" a b": 1, "c": 0}, id="declared with blanks"),
        pytest.param(["caf\u00e9"], ["cafe\u0301"], {"caf\u00e9": 0}, id="unicode forms"),
        pytest.param(["猫", "犬"], np.array(["犬", "猫"]), {"猫": 1, "犬": 0}, id="unicode"),
        pytest.param(["a"], np.array([b"a"]), {"a": 0}, id="bytes"),
        pytest.param(["1"], ["1", "1.0"], {"1": 0}, id="exact text wins"),
        pytest.param(["1"], ["1.0", "01"], {}, id="two equal numbers"),
        pytest.param(["1", "1.0"], [1], {"1": 0}, id="two equal labels"),
        pytest.param(["a"], ["a", "a"], {}, id="the same twice"),
        pytest.param(["a"], ["A"], {}, id="case matters"),
        pytest.param(["1_0", "nan"], [10, float("inf")], {}, id="no numbers"),
        pytest.param(["9007199254740993"], [9007199254740992], {}, id="big whole numbers are exact"),
    ],
)
def test_labels_are_matched(declared: list[str], found: Any, matches: dict[str, int]) -> None:
    assert match_labels(declared, found) == matches


@given(
    st.lists(st.one_of(st.text(), st.integers(), st.floats(), st.booleans()), max_size=8),
    st.lists(st.text(), unique=True),
)
def test_no_column_matches_two_labels(found: list[Any], declared: list[str]) -> None:
    matches = match_labels(declared, found)
    assert len(set(matches.values())) == len(matches)
    assert set(matches) <= set(declared)


@given(st.lists(st.text(), unique=True, min_size=1))
def test_equal_text_is_always_matched(labels: list[str]) -> None:
    assert match_labels(labels, labels[::-1]) == {label: len(labels) - 1 - i for i, label in enumerate(labels)}


@each_case(("value", "text"), [(np.float64(1.5), "1.5"), (np.True_, "True"), (b"\xc3\xa9", "é"), (1, "1")])
def test_as_label_equals_python_str(value: Any, text: str) -> None:
    assert as_label(value) == text
