"""Real servers in the environment of SageMaker, Vertex AI and Cloud Run."""

import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from tests.api.all_servers import SERVER_TYPES
from tests.processes import RunningServer

HEADER = b"sepal length,petal width\n"
ROWS = b"5.1,0.2\n4.9,1.3\n6.25,1e-1\n"
CSV = {"Content-Type": "text/csv"}
HEALTH, PREDICT = "/v1/endpoints/7/deployedModels/8", "/v1/endpoints/7/deployedModels/8:predict"
KEY = {"X-Key": "k"}

FLASK_GUARD = """
from flask import abort, request

def init_app(app):
    @app.before_request
    def guard():
        if request.method == "POST" and request.headers.get("X-Key") != "k":
            abort(401)
"""
FASTAPI_GUARD = """
from fastapi import Depends, HTTPException, Request

def init_app(app):
    def guard(request: Request):
        if request.method == "POST" and request.headers.get("X-Key") != "k":
            raise HTTPException(401)
    app.router.dependencies.append(Depends(guard))
"""


def _write_model(folder: Path) -> Path:
    """Write a model as SageMaker unpacks it: artifact in the folder, metadata in ``code/``."""
    samples = pd.DataFrame({"sepal length": [5.0, 6.0, 7.0, 4.0], "petal width": [0.2, 1.5, 2.1, 0.4]})
    (folder / "code").mkdir(parents=True)
    (folder / "model.pkl").write_bytes(pickle.dumps(LinearRegression().fit(samples, [1.0, 2.5, 3.0, 0.5])))
    (folder / "code" / "model-metadata.yaml").write_text("targetType: regression\n", encoding="utf-8")
    return folder


@contextmanager
def _servers(
    logs: Path, variables: Mapping[str, str], command: str = "serve", ready: str = "/ping"
) -> Iterator[Mapping[str, RunningServer]]:
    with ExitStack() as stack:
        yield {
            server_type: stack.enter_context(
                RunningServer(
                    log=logs / f"{server_type}.log",
                    environment={**variables, "DRUM_SERVER_TYPE": server_type, "DRUM_LAME_DUCK_SECONDS": "0"},
                    command=[sys.executable, "-m", "datarobot_drum", command],
                    ready=ready,
                )
            )
            for server_type in SERVER_TYPES
        }


@pytest.fixture(scope="module")
def sagemaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, RunningServer]]:
    folder = tmp_path_factory.mktemp("sagemaker")
    _write_model(folder / "model")
    with _servers(folder, {"SAGEMAKER_BASE_DIR": str(folder), "SAGEMAKER_BIND_TO_PORT": "{port}"}) as servers:
        yield servers


@pytest.fixture(scope="module")
def vertex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, RunningServer]]:
    folder = tmp_path_factory.mktemp("vertex")
    model = _write_model(folder / "model")
    (model / "custom_flask.py").write_text(FLASK_GUARD, encoding="utf-8")
    (model / "custom_fastapi.py").write_text(FASTAPI_GUARD, encoding="utf-8")
    variables = {
        "AIP_HTTP_PORT": "{port}",
        "AIP_HEALTH_ROUTE": HEALTH,
        "AIP_PREDICT_ROUTE": PREDICT,
        "AIP_STORAGE_URI": str(model),
        "AIP_MODE": "PREDICTION",
        "TARGET_TYPE": "regression",
        "URL_PREFIX": "/own",
    }
    with _servers(folder, variables, "server", ready=HEALTH) as servers:
        yield servers


def _post(client: httpx.Client, path: str, body: bytes, **headers: str) -> httpx.Response:
    return client.post(path, content=body, headers={**CSV, **KEY, **headers})


def test_csv_without_a_header_predicts_as_with_one(sagemaker: Mapping[str, RunningServer], server_type: str) -> None:
    client = sagemaker[server_type].client
    expected = _post(client, "/invocations", HEADER + ROWS)
    assert expected.status_code == 200 and len(expected.json()["predictions"]) == 3
    absent = {"Content-Type": "text/csv; header=absent"}
    for body in (_post(client, "/invocations", ROWS), _post(client, "/invocations", ROWS, **absent)):
        assert (body.status_code, body.content) == (200, expected.content)
    assert _post(client, "/predictionsStream", ROWS).content == expected.content
    alone = [_post(client, "/invocations", line).json()["predictions"][0] for line in ROWS.splitlines()]
    assert alone == expected.json()["predictions"]


def test_other_width_is_422_and_names_the_columns(sagemaker: Mapping[str, RunningServer], server_type: str) -> None:
    response = _post(sagemaker[server_type].client, "/invocations", b"1,2,3\n")
    assert response.status_code == 422
    assert "3 columns; the model takes 2, in this order: sepal length, petal width" in response.json()["message"]


def test_start_log_names_the_platform(sagemaker: Mapping[str, RunningServer], server_type: str) -> None:
    server = sagemaker[server_type]
    assert f"Platform SageMaker: SAGEMAKER_BIND_TO_PORT sets --address 0.0.0.0:{server.port}" in server.log()


def test_vertex_routes_are_served_and_guarded(vertex: Mapping[str, RunningServer], server_type: str) -> None:
    client = vertex[server_type].client
    assert client.get(HEALTH).json() == {"status": "ready"}
    own = _post(client, "/own/invocations", HEADER + ROWS)
    platform = _post(client, PREDICT, HEADER + ROWS)
    assert (platform.status_code, platform.content) == (200, own.content)
    assert client.post(PREDICT, content=HEADER + ROWS, headers=CSV).status_code == 401
    assert client.get(PREDICT).status_code == 405


ERRORS: Mapping[str, tuple[str, dict[str, object]]] = {
    "Vertex": (PREDICT, {"error": {"code": 422, "message": "text", "status": "INVALID_ARGUMENT"}, "message": "text"}),
    "MLflow, SageMaker": ("/own/invocations", {"error_code": "BAD_REQUEST", "message": "text"}),
    "ours": ("/own/predict", {"message": "text"}),
    "V2": ("/own/v2/models/model/infer", {"error": "text"}),
    "OpenAI": (
        "/own/v1/nothing",
        {"error": {"code": None, "message": "text", "param": None, "type": "invalid_request_error"}, "message": "text"},
    ),
}


def _with_text(value: object) -> object:
    """Return an error document with ``text`` for its messages."""
    if isinstance(value, dict):
        return {
            name: "text" if name == "message" or (isinstance(item, str) and name == "error") else _with_text(item)
            for name, item in value.items()
        }
    return value


@pytest.mark.parametrize(("path", "form"), ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [[1, 2, 3]]}',
        b'{"instances": [[1, 2]], "unknown": 1}',
        b'{"instances": [[1',
        b'{"instances": 7}',
    ],
    ids=["wrong shape", "unknown field", "no JSON", "no rows"],
)
def test_errors_have_the_form_of_the_dialect(
    vertex: Mapping[str, RunningServer], path: str, form: Mapping[str, object], body: bytes
) -> None:
    seen = set()
    for server in vertex.values():
        response = _post(server.client, path, body, **{"Content-Type": "application/json"})
        assert response.status_code in (400, 404, 422)
        assert _with_text(response.json()) == form
        seen.add((response.status_code, response.content))
    assert len(seen) == 1, seen


def test_port_of_cloud_run_is_served(tmp_path: Path) -> None:
    model = _write_model(tmp_path / "model")
    variables = {"PORT": "{port}", "K_SERVICE": "x", "CODE_DIR": str(model), "TARGET_TYPE": "regression"}
    command = [sys.executable, "-m", "datarobot_drum", "server"]
    variables["DRUM_SERVER_TYPE"] = "fastapi"
    with RunningServer(log=tmp_path / "log", environment=variables, command=command) as server:
        assert server.status("/ping") == 200
