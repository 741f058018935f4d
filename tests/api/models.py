"""Model folders of the API tests: small, deterministic, and failing in the way that a request names."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ECHO = '''
"""Predicts a checksum of what it was given, or does what the first cell of a column `action` says."""

import sys
import zlib

import pandas as pd

from datarobot_drum.drum.exceptions import CustomHTTPError


class Strange(BaseException):
    pass


def score(data, model, **kwargs):
    action = ACTIONS.get(str(data["action"].iloc[0])) if "action" in data else None
    return (action or checksum)(data)


def checksum(data):
    names = repr([str(name) for name in data.columns])
    rows = [zlib.crc32((names + repr(row.tolist())).encode("utf-8", "replace")) for row in as_objects(data)]
    return pd.DataFrame({"Predictions": rows})


def as_objects(data):
    return data.astype(object).to_numpy()


def fail(error):
    def raise_it(data):
        raise error

    return raise_it


def fail_deeply(data):
    try:
        {}["inner"]
    except KeyError as error:
        raise RuntimeError("outer") from error


def leave(data):
    sys.exit(3)


def recurse(data):
    return recurse(data)


def values(*cells):
    return lambda data: pd.DataFrame({"Predictions": list(cells)})


def extra(**columns):
    return lambda data: pd.DataFrame({"Predictions": [1.5] * len(data), **columns})


ACTIONS = {
    "raise": fail(ValueError("the model said no")),
    "raise-empty": fail(ValueError()),
    "raise-long": fail(ValueError("x" * 1_000_000)),
    "raise-unicode": fail(ValueError("täxt 日本 \\U0001f600 \\ud800 \\x00")),
    "raise-assertion": fail(AssertionError("no")),
    "raise-memory": fail(MemoryError("no room")),
    "raise-stop": fail(StopIteration("over")),
    "raise-strange": fail(Strange("not even an Exception")),
    "raise-deeply": fail_deeply,
    "recurse": recurse,
    "exit": leave,
    "http-418": fail(CustomHTTPError("short and stout", 418)),
    "http-400": fail(CustomHTTPError("täxt 日本", 400)),
    "http-429": fail(CustomHTTPError("slow down", 429, headers={"Retry-After": "7"})),
    "http-599": fail(CustomHTTPError("", 599)),
    "short": values(1.0),
    "long": lambda data: values(*range(len(data) + 1))(data),
    "none": lambda data: None,
    "list": lambda data: [1.0] * len(data),
    "empty": lambda data: pd.DataFrame(),
    "no-columns": lambda data: pd.DataFrame(index=range(len(data))),
    "text": lambda data: values(*["a"] * len(data))(data),
    "two-columns": lambda data: pd.DataFrame({"a": [1.0] * len(data), "b": [1.0] * len(data)}),
    "nan": values(float("nan"), float("inf"), float("-inf")),
    "precise": values(0.1 + 0.2, 1e-320, 1.7976931348623157e308),
    "extra": extra(
        whole=[1, 2, 3],
        broken=[1.5, None, float("inf")],
        text=["a", None, "日本"],
        when=pd.to_datetime(["2024-01-02", None, "2024-01-02 03:04:05"], format="mixed"),
        truth=[True, False, True],
        nested=[{"a": [1, 2]}, [], None],
        **{"ünï": [0, 0, 0]},
    ),
    "extra-object": extra(thing=[object(), object(), object()]),
    "extra-large": extra(number=[2**70, 1, 1]),
    "extra-surrogate": extra(text=[["\\ud800"], "a", "b"]),
}
'''

RAW = '''
"""Reads its input itself, so any media type is welcome."""

import zlib

import pandas as pd


def read_input_data(input_binary_data):
    if input_binary_data.startswith(b"raise"):
        raise ValueError("cannot read this")
    if input_binary_data.startswith(b"none"):
        return None
    return input_binary_data


def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": [float(len(data)), float(zlib.crc32(data))]})
'''

BROKEN = """
import module_that_nobody_has


def score(data, model):
    return data
"""

TEXT = """
import pandas as pd

ANSWERS = {"none": None, "quote": '"\\\\\\n\\t', "unicode": "日本 \\U0001f600", "markup": "</script>"}


def score(data, model, target_name, **kwargs):
    responses = [ANSWERS.get(word, f"You said {word}.") for word in data["prompt"].astype(str)]
    if (data["prompt"] == "extra").any():
        return pd.DataFrame({target_name: responses, "tokens": [len(response) for response in responses]})
    return pd.DataFrame({target_name: responses})
"""

FEATURES = ["a", "b", "c", "d"]


def write_code(folder: Path, code: str) -> Path:
    """A model folder that is a ``custom.py`` alone."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "custom.py").write_text(code, encoding="utf-8")
    return folder


def write_artifact(folder: Path, estimator: Any) -> Path:
    """A model folder that is a scikit-learn artifact alone."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.pkl").write_bytes(pickle.dumps(estimator))
    return folder


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    """Numbers of many magnitudes, a few of them missing."""
    random = np.random.default_rng(seed)
    cells = random.normal(size=(rows, len(FEATURES))) * 10.0 ** random.integers(-5, 5, size=(rows, len(FEATURES)))
    frame = pd.DataFrame(cells, columns=FEATURES)
    return frame.mask(random.random(frame.shape) < 0.02)


def full_table(rows: int) -> pd.DataFrame:
    """The same without a missing one."""
    return table(rows).fillna(0)


def _pipeline(estimator: Any) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(), StandardScaler(), estimator)


def fit_binary() -> Any:
    """Trained on 0 and 1, as most are; reads sparse samples too."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    frame = full_table(200)
    return make_pipeline(MaxAbsScaler(), LogisticRegression()).fit(frame, (frame["a"] > 0).astype(int))


def fit_multilabel() -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    frame = table(200)
    return _pipeline(KNeighborsClassifier(7)).fit(frame, np.stack([frame["a"] > 0, frame["b"] > 1], axis=1))


def fit_anomaly() -> Any:
    from sklearn.ensemble import IsolationForest

    return _pipeline(IsolationForest(n_estimators=10, random_state=0)).fit(table(200))


FITTERS: dict[str, Callable[[], Any]] = {
    "binary": fit_binary,
    "multilabel": fit_multilabel,
    "anomaly": fit_anomaly,
}
"""A scikit-learn model of each target type that no example has as an artifact alone."""
