"""Predictions over HTTP are those of the estimator in process, to the last bit that JSON carries."""

import io
import json
import pickle
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import io as scipy_io
from scipy import sparse
from sklearn import datasets

from datarobot_drum.drum.tabular.exact_floats import EXACT_FLOATS
from tests.api.all_servers import Servers, running_servers
from tests.api.models import FITTERS, full_table, table, write_artifact
from tests.api.responses import assert_same_response
from tests.api.test_routes import POST_PATHS

pytestmark = pytest.mark.process

EXAMPLES = Path(__file__).parents[2] / "examples"
MULTILABEL_LABELS = ["größe", "日本"]

Expect = Callable[[Any, Any], list[Any]]
"""From the estimator and its samples to the elements of ``predictions``."""


@dataclass(frozen=True)
class Truth:
    """What a model is started with, fed with, and must response."""

    samples: Callable[[int], pd.DataFrame]
    expect: Expect
    arguments: tuple[str, ...] = ()


def _records(labels: Sequence[str], values: Any) -> list[Any]:
    return [dict(zip(labels, row, strict=True)) for row in np.asarray(values).tolist()]


def expect_values(model: Any, samples: Any) -> list[Any]:
    values: list[Any] = model.predict(samples).tolist()
    return values


def expect_classes(labels: Sequence[str]) -> Expect:
    """Probabilities in the order of the declared labels."""

    def expect(model: Any, samples: Any) -> list[Any]:
        places = [list(map(str, model.classes_)).index(label) for label in labels]
        return _records(labels, model.predict_proba(samples)[:, places])

    return expect


def expect_labels(model: Any, samples: Any) -> list[Any]:
    return _records(MULTILABEL_LABELS, np.stack([pair[:, 1] for pair in model.predict_proba(samples)], axis=1))


def expect_anomaly(model: Any, samples: Any) -> list[Any]:
    values: list[Any] = (-model.decision_function(samples)).tolist()
    return values


def expect_breast_cancer(model: Any, samples: pd.DataFrame) -> list[Any]:
    hooks = runpy.run_path(str(EXAMPLES / "binary_breast_cancer" / "custom.py"))
    labels = {"positive_class_label": "malignant", "negative_class_label": "benign"}
    records: list[Any] = hooks["score"](hooks["transform"](samples, model), model, **labels).to_dict("records")
    return records


def rows_of(load: Callable[[], Any]) -> Callable[[int], pd.DataFrame]:
    """As many rows as wanted, drawn from a data set and shaken."""

    def draw(rows: int) -> pd.DataFrame:
        data = load().data
        random = np.random.default_rng(rows)
        frame = data.iloc[random.integers(0, len(data), rows)].reset_index(drop=True)
        return frame * random.uniform(0.9, 1.1, frame.shape)

    return draw


def _load_diabetes() -> Any:
    return datasets.load_diabetes(as_frame=True, scaled=False)


def _load_wine() -> Any:
    return datasets.load_wine(as_frame=True)


def _load_breast_cancer() -> Any:
    return datasets.load_breast_cancer(as_frame=True)


EXAMPLE_TRUTHS = {
    "regression_diabetes": Truth(rows_of(_load_diabetes), expect_values),
    "multiclass_wine": Truth(rows_of(_load_wine), expect_classes(["class_0", "class_1", "class_2"])),
    "binary_breast_cancer": Truth(rows_of(_load_breast_cancer), expect_breast_cancer),
}
ESTIMATOR_TRUTHS = {
    "binary": Truth(full_table, expect_classes("10"), ("--positive-class-label", "0", "--negative-class-label", "1")),
    "multilabel": Truth(table, expect_labels, ("--class-labels", *MULTILABEL_LABELS)),
    "anomaly": Truth(table, expect_anomaly),
}
TRUTHS: Mapping[str, Truth] = {**EXAMPLE_TRUTHS, **ESTIMATOR_TRUTHS}


@pytest.fixture(scope="module")
def example_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples with their artifacts, apart from the checkout."""
    folder = tmp_path_factory.mktemp("examples") / "copies"
    shutil.copytree(EXAMPLES, folder)
    subprocess.run(
        [sys.executable, EXAMPLES / "make_artifacts.py", "--output", folder], check=True, capture_output=True
    )
    return folder


@dataclass(frozen=True)
class Served:
    """A model that is served, and the same model here."""

    truth: Truth
    all_servers: Servers
    estimator: Any

    def ask(self, path: str = "/predict/", **details: Any) -> list[Any]:
        response = assert_same_response(self.all_servers, "POST", path, **details)
        assert response.status == 200, response.body[:500]
        predictions: list[Any] = json.loads(response.body)["predictions"]
        return predictions


@pytest.fixture(scope="module", params=list(TRUTHS))
def served(
    request: pytest.FixtureRequest, example_folders: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    name = request.param
    truth = TRUTHS[name]
    logs = tmp_path_factory.mktemp(name)
    arguments: list[str | Path] = [*truth.arguments]
    if name in FITTERS:
        folder = write_artifact(logs / "model", FITTERS[name]())
        arguments += ["--target-type", name]
    else:
        folder = example_folders / name
    estimator = pickle.loads((folder / "model.pkl").read_bytes())
    with running_servers(logs, "--code-dir", folder, *arguments) as all_servers:
        yield Served(truth, all_servers, estimator)


@pytest.mark.parametrize("rows", [1, 2, 10_000])
def test_predictions_equal_those_of_the_estimator(served: Served, rows: int) -> None:
    body = served.truth.samples(rows).to_csv(index=False)
    # Read as anybody would: how a table lies in memory decides the last bit of a product of matrices.
    expected = served.truth.expect(served.estimator, pd.read_csv(io.StringIO(body), **EXACT_FLOATS))
    predictions = served.ask(content=body.encode())
    assert predictions == expected
    assert json.dumps(predictions[0]) == json.dumps(expected[0])  # the order of the labels too


@pytest.mark.parametrize("path", POST_PATHS)
def test_every_prediction_route_returns_the_same(served: Served, path: str) -> None:
    samples = served.truth.samples(5)
    files = {"X": ("rows.csv", samples.to_csv(index=False).encode())}
    assert served.ask(path, files=files) == served.truth.expect(served.estimator, samples)


def test_columns_may_have_any_order(served: Served) -> None:
    samples = served.truth.samples(20)
    shuffled = samples[reversed(samples.columns)].assign(note="ü")
    predictions = served.ask(content=shuffled.to_csv(index=False).encode())
    assert predictions == served.truth.expect(served.estimator, samples)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("served", ["binary"], indirect=True)
@pytest.mark.parametrize("rows", [1, 10_000])
def test_sparse_samples_predict_as_in_process(served: Served, rows: int) -> None:
    matrix = sparse.csr_matrix(served.truth.samples(rows).fillna(0).clip(lower=0).to_numpy())
    buffer = io.BytesIO()
    scipy_io.mmwrite(buffer, matrix, precision=17)
    predictions = served.ask(content=buffer.getvalue(), headers={"Content-Type": "text/mtx"})
    assert predictions == served.truth.expect(served.estimator, matrix)
