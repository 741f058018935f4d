"""The place in the model's code that an error of a hook comes from, and the traceback of the log."""

import io
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.language_predictors.python_predictor import PythonPredictor
from datarobot_drum.drum.serving.errors import error_payload
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from tests.cases import each_case
from tests.language_predictors.builders import model_settings, write_model

CUSTOM = """
    import functools, pandas as pd, helper
    from concurrent.futures import ThreadPoolExecutor

    def timed(function):
        @functools.wraps(function)
        def timing(*args, **kwargs):
            return function(*args, **kwargs)
        return timing

    @timed
    def score(data, model):
        return globals()[data.columns[0]](data)

    def column(data): return data["agee"]
    def library(data): return data.groupby("nope").sum()
    def helping(data): return helper.clean(data)
    def chained(data):
        try:
            data["agee"]
        except KeyError as error:
            raise RuntimeError("outer") from error
    def threaded(data):
        with ThreadPoolExecutor() as pool:
            return list(pool.map(helper.clean, [data]))
    def syntax(data): import broken
    def anonymous(data): return (lambda: data["agee"])()
    def none(data): return None
"""
HELPER = 'def clean(data):\n    return data["zzz"]\n'

LOCATIONS = {
    "column": "custom.py, line 14, in column (hook score): KeyError: 'agee'",
    "library": "custom.py, line 15, in library (hook score): KeyError: 'nope'",
    "helping": "helper.py, line 2, in clean (hook score): KeyError: 'zzz'",
    "chained": "custom.py, line 21, in chained (hook score): RuntimeError: outer",
    "threaded": "helper.py, line 2, in clean (hook score): KeyError: 'zzz'",
    "syntax": "broken.py, line 1: SyntaxError: ",
    "anonymous": "custom.py, line 26, in <lambda> (hook score): KeyError: 'agee'",
    "none": "custom.py, line 10: The hook score returned None",
}


@pytest.fixture
def predictor(tmp_path: Path) -> Iterator[PythonPredictor]:
    write_model(tmp_path, custom=CUSTOM.removeprefix("\n"), helper=HELPER, broken="def x(:\n")
    predictor = PythonPredictor(model_settings(tmp_path))
    predictor.load()
    yield predictor
    predictor.close()


def _csv(text: str) -> StructuredPayload:
    return StructuredPayload(io.BytesIO(text.encode()), PayloadFormat.CSV)


def _failure(predictor: PythonPredictor, column: str) -> PredictionError:
    with pytest.raises(PredictionError) as failed:
        predictor.predict(predictor.read_input(_csv(f"{column}\n1\n")))
    return failed.value


@each_case("column", LOCATIONS)
def test_log_begins_with_the_place_in_the_model(
    predictor: PythonPredictor, caplog: pytest.LogCaptureFixture, column: str
) -> None:
    error = _failure(predictor, column)
    document = error_payload(error)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(LOCATIONS[column])
    assert document == {"message": f"ERROR: {error.message}"}
    assert error.located_message == error.location + error.message


@each_case("column", ["column", "library", "helping"])
def test_traceback_of_the_log_begins_in_the_model(
    predictor: PythonPredictor, caplog: pytest.LogCaptureFixture, column: str
) -> None:
    error_payload(_failure(predictor, column))
    exc_info = caplog.records[0].exc_info
    assert exc_info is not None
    frames = traceback.extract_tb(exc_info[2])
    assert Path(frames[0].filename).name == "custom.py"
    assert not any("datarobot_drum/" in frame.filename for frame in frames)


def test_failed_check_of_a_result_is_one_line(predictor: PythonPredictor, caplog: pytest.LogCaptureFixture) -> None:
    error_payload(_failure(predictor, "none"))
    assert caplog.records[0].exc_info is None


@each_case(
    ("code", "location"),
    [
        ("def score(data, model): return data['x']", "custom.py, line 1, in score: "),
        ("def read_input_data(data): 1 / 0\ndef score(d, m): pass", "custom.py, line 1, in read_input_data: "),
        ("def transform(d, m): 1 / 0\ndef score(d, m): pass", "custom.py, line 1, in transform: "),
        ("def score(d, m): return d\ndef post_process(p, m): 1 / 0", "custom.py, line 2, in post_process: "),
    ],
    ids=["score", "read_input_data", "transform", "post_process"],
)
def test_every_hook_is_named(tmp_path: Path, code: str, location: str) -> None:
    predictor = PythonPredictor(model_settings(write_model(tmp_path, custom=code)))
    predictor.load()
    try:
        with pytest.raises(PredictionError) as failed:
            predictor.predict(predictor.read_input(_csv("a\n1\n")))
        assert failed.value.location == location
    finally:
        predictor.close()


@each_case(
    ("code", "location"),
    [
        (
            "def chat(p, m):\n    def chunks():\n        yield {}\n        1 / 0\n    return chunks()",
            "line 4, in chunks (hook chat)",
        ),
        ("async def chat(p, m):\n    yield {}\n    1 / 0", "line 3, in chat"),
    ],
    ids=["generator", "asynchronous generator"],
)
def test_failing_iterator_names_its_hook(tmp_path: Path, code: str, location: str) -> None:
    settings = model_settings(write_model(tmp_path, custom=code), "textgeneration", target_name="t")
    predictor = PythonPredictor(settings)
    predictor.load()
    try:
        with pytest.raises(PredictionError) as failed:
            list(predictor.chat({}, {}))
        assert failed.value.location == f"custom.py, {location}: "
    finally:
        predictor.close()
