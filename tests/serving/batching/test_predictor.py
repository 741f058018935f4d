"""One prediction for several calls: each call gets the result that it would get alone."""

import logging
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import CustomHTTPError, PredictionError, UnprocessableInput
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.serving.batching.predictor import TRIAL_CALLS, TRIALS, BatchPredictor
from datarobot_drum.drum.serving.formats.predictions_json import predictions_response
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular.numeric_table import NumericTable
from tests.cases import each_case

MAX_ROWS = 16
POISON, UNREADABLE, UNSERIALIZABLE = -1, -2, -3

who: ContextVar[int] = ContextVar("who", default=-1)


@dataclass
class Call:
    """A request whose samples are ``data``; ``contexts`` records the context of each step."""

    number: int
    data: Any
    context: Context = field(default_factory=copy_context)
    contexts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.run(who.set, self.number)

    def read(self) -> Any:
        self.contexts.append(who.get())
        if isinstance(self.data, Exception):
            raise self.data
        return self.data

    def respond(self, predictions: Predictions) -> ModelResponse:
        self.contexts.append(who.get())
        if (predictions.values == UNSERIALIZABLE).any():
            raise PredictionError("The model returned a value that JSON cannot carry.")
        return predictions_response(predictions, TargetType.REGRESSION)


class Model:
    """A model that doubles ``x`` and raises for ``POISON``; ``rows`` has the size of each prediction."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, data: Any) -> Predictions:
        x = data.to_array()[:, 0] if isinstance(data, NumericTable) else data["x"].to_numpy()
        self.rows.append(len(x))
        if (x == POISON).any():
            raise CustomHTTPError(f"no prediction for {x.tolist()}", 418)
        values = np.where(x == UNSERIALIZABLE, x, 2 * x).astype(np.float64).reshape(-1, 1)
        extra = pd.DataFrame({"seen": data["x"].tolist()}) if isinstance(data, pd.DataFrame) else None
        return Predictions(("Predictions",), values, extra)


def frame(*x: float, **others: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": list(x), **others})


def numbers(*x: float) -> NumericTable:
    return NumericTable(("x",), np.array([x]), (isinstance(x[0], int),))


def outcomes(joint: BatchPredictor, calls: list[Call]) -> list[tuple[object, str]]:
    """Return the outcome of each call, in their order; every call has exactly one."""
    found = list(joint.run(calls))
    assert sorted(outcome.position for outcome in found) == list(range(len(calls)))
    return [
        _describe(outcome.response, outcome.error) for outcome in sorted(found, key=lambda outcome: outcome.position)
    ]


def _describe(answer: ModelResponse | None, error: BaseException | None) -> tuple[object, str]:
    return (answer.content if answer is not None else None, repr(error))


def alone(call: Call) -> tuple[object, str]:
    """Return the outcome of an unbatched request."""
    try:
        return _describe(call.respond(Model()(call.read())), None)
    except Exception as error:
        return _describe(None, error)


def after_trial(predict: Callable[[Any], Predictions], max_rows: int = MAX_ROWS) -> BatchPredictor:
    """Return a predictor whose trial has passed."""
    joint = BatchPredictor(predict, max_rows)
    outcomes(joint, [Call(0, frame(1)), Call(1, frame(2))])
    assert joint.is_on
    return joint


CELLS = st.sampled_from([0, 1, 2, 7, 100, 1.5, 2.25, POISON, UNSERIALIZABLE])
SAMPLES = st.one_of(
    st.lists(CELLS, min_size=1, max_size=5).map(lambda x: frame(*x)),
    st.lists(CELLS, min_size=1, max_size=5).map(lambda x: frame(*x, other="text")),
    st.lists(CELLS, min_size=1, max_size=5).map(lambda x: numbers(*x)),
    st.just(UnprocessableInput("no table")),
)


@given(st.lists(st.lists(SAMPLES, min_size=1, max_size=20), min_size=1, max_size=4))
def test_each_call_gets_same_result_as_alone(batches: list[list[Any]]) -> None:
    model = Model()
    joint = BatchPredictor(model, MAX_ROWS)
    for batch in batches:
        calls = [Call(number, data) for number, data in enumerate(batch)]
        expected = [alone(Call(number, data)) for number, data in enumerate(batch)]
        assert outcomes(joint, calls) == expected
        assert all(set(call.contexts) == {call.number} for call in calls)
    assert joint.is_on and max(model.rows, default=0) <= MAX_ROWS


def test_compatible_calls_are_one_prediction() -> None:
    joint = after_trial(model := Model())
    model.rows.clear()
    found = outcomes(joint, [Call(number, frame(number, 50)) for number in range(8)])
    assert model.rows == [16]
    assert found[3] == (b'{"predictions":[6.0,100.0],"extraModelOutput":[{"seen":3},{"seen":50}]}', "None")


def test_batch_is_split_at_the_limit_of_rows() -> None:
    joint = after_trial(model := Model())
    model.rows.clear()
    outcomes(joint, [Call(number, frame(*range(6))) for number in range(5)])
    assert model.rows == [12, 12, 6]


def test_incompatible_samples_are_not_combined() -> None:
    joint = after_trial(model := Model())
    model.rows.clear()
    other_order = pd.DataFrame({"b": [1], "x": [1]})
    named = frame(1).set_axis(["row"])
    kinds = [frame(1), frame(1.5), frame(1, b=1), other_order, named, numbers(1), numbers(1.5)]
    outcomes(joint, [Call(number, data) for number, data in enumerate(kinds * 2)])
    # Rows with names of their own are never joined.
    assert sorted(model.rows) == [1, 1, *[2] * 6]


@each_case("failing", [0, 7, 15])
def test_bisection_isolates_failing_call(failing: int) -> None:
    joint = after_trial(model := Model())
    model.rows.clear()
    calls = [Call(number, frame(POISON if number == failing else number)) for number in range(16)]
    found = outcomes(joint, calls)
    assert found[failing] == (None, repr(CustomHTTPError("no prediction for [-1]", 418)))
    assert [error for _, error in found].count("None") == 15
    assert sorted(model.rows) == [1, 1, 2, 2, 4, 4, 8, 8, 16]
    assert (joint.bisections, joint.is_on) == (4, True)


def test_whole_numbers_stay_integers_beside_fractions_and_gaps() -> None:
    def predict(data: pd.DataFrame) -> Predictions:
        return Predictions(("Predictions",), data[["x"]].to_numpy(np.float64), pd.DataFrame({"kept": list(data["k"])}))

    kept: list[list[float | None]] = [[5], [2.5], [None], [7, 2.5], [7, None]]
    tables = [pd.DataFrame({"x": range(len(k)), "k": pd.Series(k, dtype=object)}) for k in kept]
    joint = after_trial(lambda data: predict(data.assign(k=0) if "k" not in data else data))
    contents = [content for content, _ in outcomes(joint, [Call(number, data) for number, data in enumerate(tables)])]
    assert contents == [predictions_response(predict(data), TargetType.REGRESSION).content for data in tables]


# Trials


def centered(data: pd.DataFrame) -> Predictions:
    return Predictions(("Predictions",), (data[["x"]] - data["x"].mean()).to_numpy(np.float64))


def of_one_row(data: pd.DataFrame) -> Predictions:
    if len(data) > 1:
        raise PredictionError("one row, please")
    return Predictions(("Predictions",), data[["x"]].to_numpy(np.float64))


def extra_of_the_batch(data: pd.DataFrame) -> Predictions:
    extra = pd.DataFrame({"rank": data["x"].rank().astype(int)})
    return Predictions(("Predictions",), data[["x"]].to_numpy(np.float64), extra)


def changing() -> Callable[[pd.DataFrame], Predictions]:
    count = iter(range(1000))
    return lambda data: Predictions(("Predictions",), np.full((len(data), 1), float(next(count))))


@each_case(
    "predict",
    [centered, of_one_row, extra_of_the_batch, changing()],
    ids=["centered", "one row", "extra output", "random"],
)
def test_trial_switches_batching_off_for_batch_dependent_model(
    predict: Callable[[Any], Predictions], caplog: pytest.LogCaptureFixture
) -> None:
    sizes = []

    def watched(data: pd.DataFrame) -> Predictions:
        sizes.append(len(data))
        return predict(data)

    joint = BatchPredictor(watched, MAX_ROWS)
    with caplog.at_level(logging.WARNING):
        first = outcomes(joint, [Call(number, frame(10 * number)) for number in range(12)])
        assert not joint.is_on
        outcomes(joint, [Call(number, frame(number)) for number in range(5)])
    assert sizes == [TRIAL_CALLS, *[1] * 12, *[1] * 5]
    assert all(error == "None" for _, error in first)
    if predict is centered:
        assert {content for content, _ in first} == {b'{"predictions":[0.0]}'}
    assert [record.getMessage() for record in caplog.records if "Micro-batching is off" in record.getMessage()]
    assert len(caplog.records) == 1


def test_rounding_differences_keep_batching_on() -> None:
    def predict(data: pd.DataFrame) -> Predictions:
        return Predictions(("Predictions",), data[["x"]].to_numpy(np.float64) * (1 + 1e-7 * len(data)))

    joint = BatchPredictor(predict, MAX_ROWS)
    outcomes(joint, [Call(number, frame(number + 0.5)) for number in range(6)])
    assert joint.is_on


def test_equal_predictions_need_several_trials() -> None:
    joint = BatchPredictor(model := Model(), MAX_ROWS)
    same = [Call(number, frame(3)) for number in range(4)]
    for _ in range(TRIALS):
        outcomes(joint, same)
    assert model.rows == [4, 1, 1, 1, 1] * TRIALS
    outcomes(joint, same)
    assert model.rows[-1] == 4


def test_trial_with_error_is_repeated() -> None:
    joint = BatchPredictor(model := Model(), MAX_ROWS)
    outcomes(joint, [Call(0, frame(1)), Call(1, frame(POISON))])
    assert joint.is_on
    outcomes(joint, [Call(0, frame(1)), Call(1, frame(2))])
    assert model.rows == [2, 1, 1] * 2


def test_hook_that_changes_input_affects_only_its_call() -> None:
    def predict(data: pd.DataFrame) -> Predictions:
        data["x"] += 1
        if (data["x"] > 100).any():
            raise PredictionError("too large")
        return Predictions(("Predictions",), data[["x"]].to_numpy(np.float64))

    joint = BatchPredictor(predict, MAX_ROWS)
    for _ in range(2):
        found = outcomes(joint, [Call(number, frame(x)) for number, x in enumerate([1, 2, 200, 3])])
        assert [content for content, _ in found] == [
            b'{"predictions":[2.0]}',
            b'{"predictions":[3.0]}',
            None,
            b'{"predictions":[4.0]}',
        ]


def test_outcomes_are_yielded_as_soon_as_known() -> None:
    joint = after_trial(model := Model())
    model.rows.clear()
    run: Iterator[Any] = joint.run([Call(0, UnprocessableInput("no table")), Call(1, frame(1)), Call(2, frame(1.5))])
    assert (next(run).position, model.rows) == (0, [])
    assert (next(run).position, model.rows) == (1, [1])
