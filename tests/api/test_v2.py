"""The Open Inference Protocol over HTTP, on all servers and with Triton's own client."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton

from tests.api.all_servers import Servers, running_servers
from tests.api.models import write_artifact, write_code
from tests.api.responses import assert_same_response

pytestmark = pytest.mark.process

INFER = "/v2/models/churn/infer"
CITIES = ["Oslo", "Rome", "Bern"]
ROWS = pd.DataFrame({"age": [30.1, 50.5, 41.0], "visits": [3, 0, 2**40], "city": ["Oslo", "Rome", "Ås"]})


def fit_churn() -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.normal(40, 9, 200),
            "visits": random.integers(0, 9, 200),
            "city": random.choice(CITIES, 200),
        }
    )
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), ["age", "visits"]), ("text", OneHotEncoder(handle_unknown="ignore"), ["city"])]
    )
    return make_pipeline(columns, LogisticRegression()).fit(frame, np.where(frame["age"] > 40, "yes", "no"))


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("v2")
    model = write_artifact(folder / "model", fit_churn())
    (model / "model-metadata.yaml").write_text("name: churn\nversion: 1.10\n")
    with running_servers(folder, "--code-dir", model, "--target-type", "binary") as servers:
        yield servers


def column(name: str, datatype: str, data: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data), 1], "data": data, **more}


def columns_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    datatypes = {"f": "FP64", "i": "INT64"}
    return [
        column(str(name), datatypes.get(cells.dtype.kind, "BYTES"), cells.tolist()) for name, cells in frame.items()
    ]


def csv_probabilities(client: httpx.Client, frame: pd.DataFrame) -> list[float]:
    response = client.post("/predict/", content=frame.to_csv(index=False), headers={"Content-Type": "text/csv"})
    return [value for row in response.json()["predictions"] for value in row.values()]


def outputs_of(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return {output["name"]: output for output in response.json()["outputs"]}


def test_metadata_comes_from_the_input_schema(all_servers: Servers) -> None:
    response = assert_same_response(all_servers, "GET", "/v2/models/churn/versions/1.10")
    document = json.loads(response.body)
    assert document["versions"] == ["1.10"]
    assert document["inputs"] == [
        {"name": "age", "datatype": "FP64", "shape": [-1, 1]},
        {"name": "visits", "datatype": "FP64", "shape": [-1, 1]},
        {"name": "city", "datatype": "BYTES", "shape": [-1, 1]},
    ]
    assert document["outputs"] == [
        {"name": "predict", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]},
    ]


@pytest.mark.parametrize("path", ["/v2", "/v2/health/live", "/v2/health/ready/", "/v2/models/churn/ready"])
def test_status_routes_respond(all_servers: Servers, path: str) -> None:
    assert assert_same_response(all_servers, "GET", path).status == 200


def test_tensors_predict_as_csv(all_servers: Servers, client: httpx.Client) -> None:
    request = {"id": "a-1", "inputs": columns_of(ROWS)}
    response = assert_same_response(all_servers, "POST", INFER, json=request)
    document = json.loads(response.body)
    assert (document["model_name"], document["model_version"], document["id"]) == ("churn", "1.10", "a-1")
    labels, probabilities = document["outputs"]
    assert probabilities["data"] == csv_probabilities(client, ROWS)
    assert probabilities["shape"] == [3, 2]
    assert json.loads(probabilities["parameters"]["labels"]) == ["no", "yes"]
    positive = probabilities["data"][1::2]
    assert labels["data"] == ["yes" if value >= 0.5 else "no" for value in positive]


def test_one_row_alone_equals_the_batch(client: httpx.Client) -> None:
    batch = outputs_of(client.post(INFER, json={"inputs": columns_of(ROWS)}))["predict_proba"]["data"]
    for row in range(len(ROWS)):
        alone = outputs_of(client.post(INFER, json={"inputs": columns_of(ROWS.iloc[[row]])}))
        assert alone["predict_proba"]["data"] == batch[2 * row : 2 * row + 2]


def test_requests_of_mlserver_codecs_are_read(client: httpx.Client) -> None:
    # PandasCodec.encode_request(frame, use_bytes=False) of a frame with text and a missing city.
    request = {
        "parameters": {"content_type": "pd"},
        "inputs": [
            column("age", "FP64", [30.1]),
            column("visits", "INT64", [3]),
            column("city", "BYTES", ['"Oslo"'], parameters={"content_type": "pd_json"}),
        ],
    }
    found = outputs_of(client.post(INFER, json=request))["predict_proba"]["data"]
    assert found == csv_probabilities(client, ROWS.iloc[[0]])


@pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "json"])
def test_triton_client(all_servers: Servers, server_type: str, client: httpx.Client, is_binary: bool) -> None:
    server = all_servers[server_type]
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as connection:
        assert connection.is_server_live() and connection.is_server_ready()
        assert connection.is_model_ready("churn", "1.10")
        assert connection.get_model_metadata("churn")["name"] == "churn"
        inputs = []
        for name, datatype in (("age", "FP64"), ("visits", "INT64"), ("city", "BYTES")):
            cells = ROWS[[name]].to_numpy(dtype=object if datatype == "BYTES" else None)
            inputs.append(triton.InferInput(name, list(cells.shape), datatype))
            inputs[-1].set_data_from_numpy(cells, binary_data=is_binary)
        wanted = [triton.InferRequestedOutput("predict_proba", is_binary), triton.InferRequestedOutput("predict")]
        result = connection.infer("churn", inputs, request_id="7", outputs=wanted)
        assert result.get_response()["id"] == "7"
        assert result.as_numpy("predict_proba").ravel().tolist() == csv_probabilities(client, ROWS)
        assert result.as_numpy("predict").shape == (3, 1)


AGE = column("age", "FP64", [30.0])
VISITS = column("visits", "INT64", [3])
CITY = column("city", "BYTES", ["Oslo"])

INVALID = {
    "no inputs": ({"inputs": []}, "no inputs"),
    "unknown key": ({"input": []}, "did you mean 'inputs'"),
    "unknown input": ({"inputs": [AGE, VISITS, column("citty", "BYTES", ["Oslo"])]}, "did you mean 'city'"),
    "missing input": ({"inputs": [AGE, VISITS]}, "lack 1 of the 3 columns"),
    "duplicate": ({"inputs": [AGE, AGE, VISITS, CITY]}, "two inputs of the name 'age'"),
    "other rows": ({"inputs": [AGE, VISITS, column("city", "BYTES", ["a", "b"])]}, "1 and 2 rows"),
    "no rows": ({"inputs": [column("age", "FP64", [])]}, "no rows"),
    "shape": ({"inputs": [{**AGE, "shape": [2, 1]}]}, "has 1 values, and its shape [2, 1] has 2"),
    "huge shape": ({"inputs": [{**AGE, "shape": [2**62, 2**62]}]}, "has 1 values"),
    "negative shape": ({"inputs": [{**AGE, "shape": [-1, 1]}]}, "no size may be negative"),
    "rank": ({"inputs": [{**AGE, "shape": [1, 1, 1]}]}, "a column has [rows]"),
    "datatype": ({"inputs": [{**AGE, "datatype": "FLOAT"}]}, "use one of BOOL"),
    "text in numbers": ({"inputs": [{**AGE, "data": ["30"]}]}, "takes numbers"),
    "boolean in numbers": ({"inputs": [{**AGE, "data": [True]}]}, "takes numbers"),
    "fraction": ({"inputs": [{**VISITS, "data": [1.5]}]}, "takes whole numbers"),
    "overflow": ({"inputs": [{**VISITS, "datatype": "INT8", "data": [128]}]}, "which INT8 does not have"),
    "float overflow": ({"inputs": [{**AGE, "datatype": "FP32", "data": [1e300]}]}, "too large for FP32"),
    "nested": ({"inputs": [{**AGE, "shape": [2, 1], "data": [[1.0], 2.0]}]}, "nested in another way"),
    "width": ({"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}]}, "takes 3 columns"),
    "binary size": ({"inputs": [{**AGE, "data": None, "parameters": {"binary_data_size": 8}}]}, "0 bytes of binary"),
    "shared memory": ({"inputs": [{**AGE, "parameters": {"shared_memory_region": "x"}}]}, "no support"),
    "output": ({"inputs": [AGE, VISITS, CITY], "outputs": [{"name": "x"}]}, "its outputs are predict, predict_proba"),
}


@pytest.mark.parametrize(("document", "text"), INVALID.values(), ids=INVALID)
def test_invalid_requests_are_explained(all_servers: Servers, document: Any, text: str) -> None:
    response = assert_same_response(all_servers, "POST", INFER, json=document)
    assert response.status == 400
    error = json.loads(response.body)
    assert list(error) == ["error"]
    assert text in error["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v2/nothing", b"", 404),
        ("GET", "/v2/models/other", b"", 404),
        ("POST", "/v2/models/churn/versions/9/infer", b"{}", 404),
        ("DELETE", "/v2/models/churn", b"", 405),
        ("POST", INFER, b"", 400),
        ("POST", INFER, b'{"inputs": [NaN]}', 400),
        ("POST", INFER, b"[" * 5000, 400),
    ],
)
def test_every_error_has_the_form_of_the_protocol(
    all_servers: Servers, method: str, path: str, body: bytes, status: int
) -> None:
    response = assert_same_response(all_servers, method, path, content=body)
    assert response.status == status
    assert list(json.loads(response.body)) == ["error"]


def binary_request(document: Any, data: bytes) -> tuple[bytes, dict[str, str]]:
    head = json.dumps(document).encode()
    return head + data, {"Inference-Header-Content-Length": str(len(head))}


@pytest.mark.parametrize(
    ("size", "data", "text"),
    [
        (8, struct.pack("<d", 1.0)[:7], "7 bytes of binary data are left"),
        (7, struct.pack("<d", 1.0), "take 8"),
        (8, struct.pack("<dd", 1.0, 1.0), "belong to no input"),
        (-1, b"", "binary_data_size -1"),
    ],
)
def test_wrong_binary_sizes_are_explained(all_servers: Servers, size: int, data: bytes, text: str) -> None:
    tensor = {"name": "age", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": size}}
    body, headers = binary_request({"inputs": [tensor]}, data)
    response = assert_same_response(all_servers, "POST", INFER, content=body, headers=headers)
    assert (response.status, text in response.body.decode()) == (400, True), response.body


@pytest.mark.parametrize("length", ["0", "-1", "x", "99999", "9" * 30])
def test_a_wrong_header_length_is_explained(all_servers: Servers, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length}
    response = assert_same_response(all_servers, "POST", INFER, content=b'{"inputs": []}', headers=headers)
    assert response.status == 400
    assert b"must be the size of the JSON document" in response.body


CHECKSUM = """
import zlib

import pandas as pd


def score(data, model, **kwargs):
    rows = [repr([(type(cell).__name__, cell) for cell in row]) for row in data.astype(object).to_numpy().tolist()]
    names = repr(list(data.columns)) + repr([str(dtype) for dtype in data.dtypes])
    return pd.DataFrame({"Predictions": [zlib.crc32((names + row).encode()) for row in rows], "seen": rows})
"""


@pytest.fixture(scope="module")
def checksum_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("checksum")
    model = write_code(folder / "model", CHECKSUM)
    with running_servers(folder, "--code-dir", model, "--target-type", "regression") as servers:
        yield servers


def test_a_hook_gets_the_same_table_as_from_csv(checksum_servers: Servers) -> None:
    frame = pd.DataFrame({"f": [0.1, 2.5], "i": [1, -7], "t": ["a", "b c"], "b": [True, False], "m": [1.5, None]})
    inputs = [
        column("f", "FP64", [0.1, 2.5]),
        column("i", "INT32", [1, -7]),
        column("t", "BYTES", ["a", "b c"]),
        column("b", "BOOL", [True, False]),
        column("m", "FP32", [1.5, None]),
    ]
    response = assert_same_response(checksum_servers, "POST", "/v2/models/model/infer", json={"inputs": inputs})
    assert response.status == 200, response.body
    predict, seen = json.loads(response.body)["outputs"]
    csv = assert_same_response(checksum_servers, "POST", "/predict/", content=frame.to_csv(index=False))
    assert predict["data"] == json.loads(csv.body)["predictions"], seen
    assert seen["name"] == "seen" and seen["datatype"] == "BYTES"


TRANSFORM = """
def transform(data, model):
    return data.assign(total=data.sum(axis=1), text="x")
"""

UNSTRUCTURED = """
def score_unstructured(model, data, query, **kwargs):
    return data
"""


@pytest.mark.parametrize(
    ("target_type", "code", "status", "text"),
    [
        ("transform", TRANSFORM, 200, b'"total"'),
        ("unstructured", UNSTRUCTURED, 400, b"/predictUnstructured/"),
    ],
)
def test_other_kinds_of_models(tmp_path: Path, target_type: str, code: str, status: int, text: bytes) -> None:
    model = write_code(tmp_path / "model", code)
    with running_servers(tmp_path, "--code-dir", model, "--target-type", target_type) as servers:
        assert assert_same_response(servers, "GET", "/v2/models/model").status == 200
        request = {"inputs": [column("a", "FP64", [1.0]), column("b", "FP64", [2.0])]}
        response = assert_same_response(servers, "POST", "/v2/models/model/infer", json=request)
        assert response.status == status, response.body
        assert text in response.body
