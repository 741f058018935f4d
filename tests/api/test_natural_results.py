"""Natural results of hooks, byte for byte the same on both frameworks, and several targets and labels on one."""

import json
import pickle
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from tests.api.all_servers import FRAMEWORKS, Servers, running_servers
from tests.api.models import write_code
from tests.api.responses import assert_same_response
from tests.cases import each_case

pytestmark = pytest.mark.process

X = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.0, 1.0, 0.0, 1.0]})
ROWS = X.to_csv(index=False).encode()

UNSTRUCTURED = """
import datetime
import decimal

import numpy as np

RESULTS = {
    "dict": {"score": decimal.Decimal("0.5"), 1: {2}, "raw": b"a"},
    "list": [1, None, float("nan")],
    "number": 0.5,
    "numpy number": np.float32(0.5),
    "array": np.array([[1, 2]]),
    "dict with type": ({"a": datetime.timedelta(1)}, {"mimetype": "application/problem+json"}),
    "dict with charset": ({"a": "é"}, {"charset": "latin-1"}),
    "none": None,
    "set": {1},
    "object": {"a": 1j},
}


def score_unstructured(model, data, **kwargs):
    return RESULTS[data]
"""


@pytest.fixture(scope="module")
def unstructured_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("unstructured")
    model = write_code(folder / "model", UNSTRUCTURED)
    with running_servers(
        folder, "--code-dir", model, "--target-type", "unstructured", server_types=FRAMEWORKS
    ) as servers:
        yield servers


@pytest.fixture(scope="module")
def target_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A regression model of two targets."""
    folder = tmp_path_factory.mktemp("targets")
    (folder / "model").mkdir()
    model = LinearRegression().fit(X, np.column_stack([X["a"] * 2, X["b"]]))
    (folder / "model" / "model.pkl").write_bytes(pickle.dumps(model))
    (folder / "model" / "model-metadata.yaml").write_text("targetNames: [double, same]\n")
    with running_servers(
        folder, "--code-dir", folder / "model", "--target-type", "regression", server_types=FRAMEWORKS[1:]
    ) as servers:
        yield servers


@pytest.fixture(scope="module")
def label_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A binary model that is served without labels."""
    folder = tmp_path_factory.mktemp("labels")
    (folder / "model").mkdir()
    model = LogisticRegression().fit(X, ["no", "no", "yes", "yes"])
    (folder / "model" / "model.pkl").write_bytes(pickle.dumps(model))
    config = folder / "deployment.json"
    config.write_text("{}")
    with running_servers(
        folder,
        "--code-dir",
        folder / "model",
        "--target-type",
        "binary",
        "--deployment-config",
        config,
        server_types=FRAMEWORKS[:1],
    ) as servers:
        yield servers


@each_case(
    ("name", "content_type", "body"),
    [
        ("dict", "application/json;charset=utf-8", b'{"score":0.5,"1":[2],"raw":"YQ=="}'),
        ("list", "application/json;charset=utf-8", b"[1,null,null]"),
        ("number", "application/json;charset=utf-8", b"0.5"),
        ("numpy number", "application/json;charset=utf-8", b"0.5"),
        ("array", "application/json;charset=utf-8", b"[[1,2]]"),
        ("dict with type", "application/problem+json;charset=utf-8", b'{"a":"P1DT0H0M0S"}'),
        ("dict with charset", "application/json;charset=latin-1", '{"a":"é"}'.encode("latin-1")),
    ],
)
def test_unstructured_dicts_lists_and_numbers_are_json(
    unstructured_servers: Servers, name: str, content_type: str, body: bytes
) -> None:
    response = assert_same_response(unstructured_servers, "POST", "/predictUnstructured/", content=name.encode())
    assert (response.status, response.body) == (200, body)
    assert dict(response.headers)["content-type"] == content_type


@each_case(
    ("name", "reason"),
    [
        ("none", "returned None: it must return str, bytes, an iterator of them, or a dict"),
        ("set", "returned a set of 1 items: it must return"),
        ("object", "JSON cannot carry: Type complex"),
    ],
)
def test_other_unstructured_results_are_rejected(unstructured_servers: Servers, name: str, reason: str) -> None:
    response = assert_same_response(unstructured_servers, "POST", "/predictUnstructured/", content=name.encode())
    assert response.status == 500
    assert reason in json.loads(response.body)["message"]


def test_several_targets_are_objects(target_servers: Servers) -> None:
    response = assert_same_response(target_servers, "POST", "/predict/", content=ROWS)
    assert response.status == 200
    rows = json.loads(response.body)["predictions"]
    assert [sorted(row) for row in rows] == [["double", "same"]] * len(X)
    assert [round(row["double"], 6) for row in rows] == [2, 4, 6, 8]
    stream = assert_same_response(target_servers, "POST", "/predictionsStream/", content=ROWS)
    assert stream.body == response.body
    csv = assert_same_response(
        target_servers, "POST", "/predictionsStream/", content=ROWS, headers={"Accept": "text/csv"}
    )
    assert csv.body.startswith(b"double,same\n")


def test_labels_come_from_the_model(label_servers: Servers) -> None:
    response = assert_same_response(label_servers, "POST", "/predict/", content=ROWS)
    assert response.status == 200, response.body
    rows = json.loads(response.body)["data"]
    assert [row["prediction"] for row in rows] == ["no", "no", "yes", "yes"]
    assert [value["label"] for value in rows[0]["predictionValues"]] == ["no", "yes"]
    for server in label_servers.values():
        assert "Class labels of the model: 'no' (negative), 'yes' (positive)" in server.log()
