"""Several models behind one server: which one a request reaches, in every dialect, the same on all servers."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from tests.api.all_servers import Servers, running_servers
from tests.api.models import write_code
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

METADATA = """
name: several
models:
  - {name: house, path: house, targetType: regression, targetName: price, version: "3", default: true}
  - {name: flag, path: flag}
  - {name: echo, path: code/echo, targetType: unstructured}
  - {name: talk, path: code/talk, targetType: textgeneration, targetName: out}
"""
FLAG_METADATA = """
targetType: binary
targetName: ok
inferenceModel: {positiveClassLabel: "yes", negativeClassLabel: "no"}
"""
FLAG = """
import pandas as pd

from helper import SHARE


def score(data, model, **kwargs):
    from helper import SHARE as late

    assert late == SHARE
    return pd.DataFrame({"yes": [SHARE] * len(data), "no": [1 - SHARE] * len(data)})
"""
ECHO = """
from helper import SUFFIX


def score_unstructured(model, data, query, **kwargs):
    return data + SUFFIX
"""
TALK = """
def chat(params, model, **kwargs):
    return "I am " + params["model"]
"""
CSV = {"Content-Type": "text/csv"}
HEADER = "X-Drum-Model"
KNOWN = "'house', 'flag', 'echo', 'talk'"


def write_models(folder: Path) -> Path:
    """Write a routed set of an artifact and three models of code, two with a helper module of the same name."""
    write_code(folder / "flag", FLAG)
    write_code(folder / "code" / "echo", ECHO)
    write_code(folder / "code" / "talk", TALK)
    (folder / "flag" / "helper.py").write_text("SHARE = 0.25\n", encoding="utf-8")
    (folder / "flag" / "model-metadata.yaml").write_text(FLAG_METADATA, encoding="utf-8")
    (folder / "code" / "echo" / "helper.py").write_text("SUFFIX = '!'\n", encoding="utf-8")
    (folder / "house").mkdir()
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 0.0]})
    (folder / "house" / "model.pkl").write_bytes(pickle.dumps(LinearRegression().fit(X, np.array([2.0, 5.0, 6.0]))))
    (folder / "model-metadata.yaml").write_text(METADATA, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("routed")
    with running_servers(folder, "--code-dir", write_models(folder / "models")) as servers:
        yield servers


def test_rows_reach_the_named_model_or_the_default(client: httpx.Client) -> None:
    content = b"a,b\n4,1\n5,0\n"
    default = client.post("/predict/", content=content, headers=CSV)
    assert default.json()["predictions"] == pytest.approx([9.0, 10.0])
    assert client.post("/predict/", content=content, headers={**CSV, HEADER: "house"}).content == default.content
    flag = client.post("/invocations", content=content, headers={**CSV, HEADER: "flag"}).json()
    assert flag == {"predictions": [{"yes": 0.25, "no": 0.75}] * 2}
    lines = client.post("/predictionsStream/", content=content, headers={**CSV, HEADER: "flag", "Accept": "text/csv"})
    assert lines.text.splitlines() == ["yes,no", "0.25,0.75", "0.25,0.75"]


@each_case("path", ["/predictUnstructured/", "/invocations"])
def test_raw_bodies_reach_the_unstructured_model(client: httpx.Client, path: str) -> None:
    headers = {HEADER: "echo", "Content-Type": "text/plain"}
    assert client.post(path, content=b"a,b", headers=headers).text == "a,b!"


@each_case(
    ("path", "headers", "status", "message"),
    [
        ("/predict/", {HEADER: "House"}, 404, f"There is no model 'House': this server has {KNOWN}."),
        ("/predict/", {HEADER: ""}, 404, f"There is no model '': this server has {KNOWN}."),
        ("/invocations", {HEADER: "no"}, 404, f"There is no model 'no': this server has {KNOWN}."),
        ("/transform/", {}, 422, "This route does not serve regression models: use /predict/."),
        (
            "/predict/",
            {HEADER: "echo"},
            422,
            "This route does not serve unstructured models: use /predictUnstructured/.",
        ),
    ],
)
def test_a_request_for_no_such_model_is_rejected(
    client: httpx.Client, path: str, headers: dict[str, str], status: int, message: str
) -> None:
    response = client.post(path, content=b"a,b\n1,2\n", headers={**CSV, **headers})
    assert (response.status_code, response.json()["message"]) == (status, f"ERROR: {message}")


def test_each_response_names_the_model_that_answered(client: httpx.Client) -> None:
    content = b"a,b\n1,2\n"
    models = {entry["name"]: entry for entry in client.get("/info/").json()["models"]}
    digests = {name: entry["modelDigest"][:12] for name, entry in models.items()}
    assert len(set(digests.values())) == len(digests)
    expected = {"house": "house@3", "flag": "flag@1", "echo": "echo@1"}
    for name, identity in expected.items():
        response = client.post("/predict/", content=content, headers={**CSV, HEADER: name})
        assert (name, response.headers.get_list(HEADER)) == (name, [f"{identity};digest={digests[name]}"])
        again = client.post("/predict/", content=content, headers={**CSV, HEADER: response.headers[HEADER]})
        assert (again.content, again.headers[HEADER]) == (response.content, response.headers[HEADER])
    assert client.post("/predict/", content=content, headers=CSV).headers[HEADER].startswith("house@3;")
    assert client.get("/v2/models/flag").headers[HEADER].startswith("flag@1;")


def test_other_responses_name_the_set_which_picks_no_model(client: httpx.Client) -> None:
    (name,) = {client.get(path).headers[HEADER] for path in ("/info/", "/nothing", "/v2/models/none")}
    assert name == f"several@1;digest={client.get('/info/').json()['modelDigest'][:12]}"
    response = client.post("/predict/", content=b"a,b\n4,1\n", headers={**CSV, HEADER: name})
    assert response.json()["predictions"] == pytest.approx([9.0])


def test_a_repeated_header_names_no_model(client: httpx.Client) -> None:
    headers = [("Content-Type", "text/csv"), (HEADER, "house"), (HEADER, "flag")]
    assert client.post("/predict/", content=b"a,b\n1,2\n", headers=headers).status_code == 404


def test_a_form_for_an_unstructured_model_is_rejected(client: httpx.Client) -> None:
    response = client.post("/invocations", files={"X": ("x.csv", b"a\n1\n", "text/csv")}, headers={HEADER: "echo"})
    assert response.status_code == 422
    assert "takes no form: use /predictUnstructured/" in response.json()["message"]


def test_openai_clients_name_the_model_in_the_body(client: httpx.Client) -> None:
    messages = [{"role": "user", "content": "who?"}]
    response = client.post("/v1/chat/completions", json={"model": "talk", "messages": messages}).json()
    assert response["choices"][0]["message"]["content"] == "I am talk"
    # The header wins: the model may know several language models.
    body = {"model": "small", "messages": messages}
    response = client.post("/v1/chat/completions", json=body, headers={HEADER: "talk"}).json()
    assert response["choices"][0]["message"]["content"] == "I am small"
    response = client.post("/v1/chat/completions", json=body).json()
    assert (response["error"]["code"], response["error"]["param"]) == ("model_not_found", "model")
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["talk"]
    assert client.get("/v1/models/talk").status_code == 200
    assert client.get("/v1/models/house").json()["error"]["code"] == "model_not_found"


def test_the_inference_protocol_names_the_model_in_the_path(client: httpx.Client) -> None:
    metadata = client.get("/v2/models/house").json()
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == ("house", ["3"], "drum_scikit-learn")
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["a", "b"]
    inputs = [
        {"name": name, "shape": [1, 1], "datatype": "FP64", "data": [value]} for name, value in (("a", 4), ("b", 1))
    ]
    house = client.post("/v2/models/house/versions/3/infer", json={"inputs": inputs}).json()
    assert house["outputs"][0]["data"] == pytest.approx([9.0])
    flag = client.post("/v2/models/flag/infer", json={"inputs": inputs}).json()
    assert (flag["model_name"], flag["outputs"][0]["data"]) == ("flag", ["no"])
    assert client.get("/v2/models/flag/ready").json() == {"name": "flag", "ready": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/v2/models/other", "/v2/models/flag/versions/3", "/v2/models/other/ready"):
        response = client.get(path)
        assert (response.status_code, list(response.json())) == (404, ["error"])


def test_the_models_are_described(client: httpx.Client) -> None:
    information = client.get("/info/").json()
    described = [(model["name"], model["targetType"], model["predictor"]) for model in information["models"]]
    assert described == [
        ("house", "regression", "scikit-learn"),
        ("flag", "binary", "custom"),
        ("echo", "unstructured", "custom"),
        ("talk", "textgeneration", "custom"),
    ]
    assert [model["isDefault"] for model in information["models"]] == [True, False, False, False]
    assert client.get("/capabilities/", headers={HEADER: "talk"}).json()["supported_methods"]["chat"] is True
    assert client.get("/capabilities/").json()["supported_methods"]["chat"] is False
    document: Any = client.get("/openapi.json").json()
    parameters = document["paths"]["/predict"]["post"]["parameters"]
    (header,) = [parameter for parameter in parameters if parameter.get("name") == HEADER]
    assert (header["required"], header["schema"]["enum"]) == (False, ["house", "flag", "echo", "talk"])


def test_without_a_default_requests_must_name_a_model(tmp_path: Path) -> None:
    folder = write_models(tmp_path / "models")
    text = METADATA.replace(", default: true", "")
    (folder / "model-metadata.yaml").write_text(text, encoding="utf-8")
    environment = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_LAME_DUCK_SECONDS": "0"}
    with RunningServer("--code-dir", folder, log=tmp_path / "log", environment=environment) as server:
        response = server.client.post("/predict/", content=b"a,b\n1,2\n", headers=CSV)
        assert response.status_code == 422
        assert (
            response.json()["message"]
            == f"ERROR: This server has several models: name one of {KNOWN} by the header {HEADER}."
        )
        response = server.client.post("/v1/chat/completions", json={"messages": []})
        assert "or the field model" in response.json()["error"]["message"]
        assert (
            server.client.post("/predict/", content=b"a,b\n1,2\n", headers={**CSV, HEADER: "flag"}).status_code == 200
        )
