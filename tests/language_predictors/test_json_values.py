"""Values without a JSON form are converted where nothing is lost; else the error names column and row."""

import datetime as dt
import enum
from collections import OrderedDict, deque, namedtuple
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import pandas as pd
import pytest
from pydantic import BaseModel

from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.language_predictors.json_values import encode
from datarobot_drum.drum.serving.formats.predictions_json import predictions_response
from datarobot_drum.drum.settings.target_types import TargetType
from tests.cases import each_case

Pair = namedtuple("Pair", "a b")


class Color(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int


class Document(BaseModel):
    when: dt.date


def _kind(value: Any) -> str:
    return type(value).__name__


CONVERTED = [
    (Decimal("1.5"), b"1.5"),
    (Decimal("0.10"), b"0.1"),
    (Decimal("12"), b"12"),
    (Decimal("1E+3"), b"1000"),
    (Decimal("0.1234567890123456789"), b'"0.1234567890123456789"'),
    (Decimal("1E+400"), b'"1E+400"'),
    (Decimal("NaN"), b"null"),
    (pd.Timedelta(days=1, hours=2), b'"P1DT2H0M0S"'),
    (dt.timedelta(seconds=1), b'"P0DT0H0M1S"'),
    (np.timedelta64(1, "ns"), b'"P0DT0H0M0.000000001S"'),
    (np.datetime64("2024-05-01T12:00:00.000000000"), b'"2024-05-01T12:00:00"'),
    (pd.Timestamp("2024-05-01", tz="UTC"), b'"2024-05-01T00:00:00+00:00"'),
    (dt.date(2024, 5, 1), b'"2024-05-01"'),
    (dt.time(1, 2), b'"01:02:00"'),
    (pd.Period("2024-05", "M"), b'"2024-05"'),
    (pd.Interval(0, 1), b'"(0, 1]"'),
    (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
    (b"\x00\xff", b'"AP8="'),
    (bytearray(b"a"), b'"YQ=="'),
    (memoryview(b"a"), b'"YQ=="'),
    ({3, 1, 2}, b"[1,2,3]"),
    (frozenset(["b", "a"]), b'["a","b"]'),
    (pd.Series([1, 2]), b"[1,2]"),
    (pd.Series([Decimal("0.5"), None], dtype=object), b"[0.5,null]"),
    (pd.Index(["a"]), b'["a"]'),
    (pd.array([1, None], dtype="Int64"), b"[1,null]"),
    (pd.DataFrame({"a": [1]}), b'[{"a":1}]'),
    (np.array([[1.5, 2]]), b"[[1.5,2.0]]"),
    (np.array(["2024-05-01"], dtype="M8[ns]"), b'["2024-05-01T00:00:00"]'),
    (np.float32(0.5), b"0.5"),
    (np.longdouble("0.5"), b"0.5"),
    (np.array([np.longdouble("0.5")]), b"[0.5]"),
    (np.bool_(True), b"true"),
    (
        {1: "a", np.int64(2): "b", 1.5: "c", dt.date(2024, 5, 1): "d"},
        b'{"1":"a","2":"b","1.5":"c","2024-05-01":"d"}',
    ),
    ({("a", 1): 2}, b'{"a, 1":2}'),
    (OrderedDict(a={1: Decimal("2.5")}), b'{"a":{"1":2.5}}'),
    (1 << 70, b"1180591620717411303424"),
    ([-(1 << 70), Decimal(1 << 70)], b'[-1180591620717411303424,"1180591620717411303424"]'),
    (Pair(1, Decimal("2.5")), b"[1,2.5]"),
    (deque([1]), b"[1]"),
    (range(3), b"[0,1,2]"),
    ({"a": 1}.keys(), b'["a"]'),
    (Color.RED, b'"red"'),
    ({Color.RED: Color.RED, 1: 1 << 65}, b'{"red":"red","1":36893488147419103232}'),
    (PurePosixPath("a/b"), b'"a/b"'),
    (Fraction(1, 3), b'"1/3"'),
    (Point(1), b'{"x":1}'),
    ({1: Point(1)}, b'{"1":{"x":1}}'),
    (Document(when=dt.date(2024, 5, 1)), b'{"when":"2024-05-01"}'),
    ([pd.NA, pd.NaT, float("nan"), np.nan, np.datetime64("NaT"), None], b"[null,null,null,null,null,null]"),
    ({1: [float("inf"), np.float64("nan"), np.str_("a")]}, b'{"1":[null,null,"a"]}'),
]


@each_case(("value", "text"), CONVERTED, ids=_kind)
def test_value_is_converted_without_loss(value: Any, text: bytes) -> None:
    assert encode(value) == text
    assert encode({"deep": [value]}) == b'{"deep":[' + text + b"]}"


def test_a_long_double_between_two_floats_is_text() -> None:
    value = np.longdouble(1) / np.longdouble(3)
    if np.longdouble(float(value)) == value:
        pytest.skip("long double is double here")
    assert np.longdouble(orjson.loads(encode(value))) == value


CIRCULAR: list[Any] = []
CIRCULAR.append(CIRCULAR)

REJECTED = [
    (1j, "complex"),
    (np.complex64(1), "complex64"),
    (object(), "object"),
    (Color, "EnumType"),
    (CIRCULAR, "contains itself"),
    ({1: "a", "1": "b"}, "keys that are equal as text"),
    ("\ud800", "surrogates"),
    ((value for value in [1]), "generator"),
]


@each_case(("value", "reason"), REJECTED, ids=_kind)
def test_value_without_a_lossless_form_is_rejected(value: Any, reason: str) -> None:
    with pytest.raises(PredictionError, match=f"a value that JSON cannot carry: .*{reason}"):
        encode(value)


def test_extra_output_carries_every_value() -> None:
    extra = pd.DataFrame({"more": pd.Series([value for value, _ in CONVERTED], dtype=object)})
    predictions = Predictions(("Predictions",), np.zeros((len(extra), 1)), extra)
    content = predictions_response(predictions, TargetType.REGRESSION).content
    assert isinstance(content, bytes)
    rows = orjson.loads(content.replace(b"1180591620717411303424", b"1").replace(b"36893488147419103232", b"1"))
    assert len(rows["extraModelOutput"]) == len(CONVERTED)
    assert rows["extraModelOutput"][0] == {"more": 1.5}


def test_error_of_extra_output_names_column_and_row() -> None:
    extra = pd.DataFrame({"good": [1, 2], "bad": pd.Series([Decimal(1), object()], dtype=object)})
    with pytest.raises(PredictionError, match="a value in column 'bad', row 2 that JSON cannot carry: Type object"):
        predictions_response(Predictions(("Predictions",), np.zeros((2, 1)), extra), TargetType.REGRESSION)


def test_error_of_a_prediction_names_column_and_row() -> None:
    values = np.array([["fine"], [1j]], dtype=object)
    with pytest.raises(PredictionError, match="a value in column 'answer', row 2 that JSON cannot carry"):
        predictions_response(Predictions(("answer",), values), TargetType.TEXT_GENERATION)
