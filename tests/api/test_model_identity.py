"""The model of each response: in a header, in the log and in the metrics, the same on all servers."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.all_servers import Servers, running_servers
from tests.api.connections import exchange, request_bytes
from tests.api.models import ECHO, write_code
from tests.processes import RunningServer

pytestmark = pytest.mark.process

HEADER = "X-Drum-Model"
CSV = {"Content-Type": "text/csv"}
METADATA = 'name: "Größe; 1"\nversion: 2.10\n'
ENVIRONMENT = {"DRUM_LOG_FORMAT": "json", "DRUM_MODEL_HEADER": "0", "DRUM_METRICS": "all"}


@pytest.fixture(scope="module")
def named_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("named")
    model = write_code(folder / "model", ECHO)
    (model / "model-metadata.yaml").write_text(METADATA, encoding="utf-8")
    arguments = ("--code-dir", model, "--target-type", "regression")
    with running_servers(folder, *arguments, environment=ENVIRONMENT) as servers:
        yield servers


@pytest.fixture
def named_server(named_servers: Servers, server_type: str) -> RunningServer:
    return named_servers[server_type]


def access_lines(server: RunningServer) -> dict[str, dict[str, Any]]:
    """Return the last line of the access log for each path, up to its first control character."""
    documents = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    found = [document for document in documents if document["logger"] == "drum.access"]
    return {document["path"].partition("\x1b")[0]: document for document in found}


def test_every_response_names_the_model(client: httpx.Client, server: RunningServer) -> None:
    digest = client.get("/info/").json()["modelDigest"]
    stream = {**CSV, "Accept": "text/csv"}
    responses = [
        client.get("/livez"),
        client.get("/nothing"),
        client.delete("/predict/"),
        client.post("/predict/", content=b"action\nsay\n", headers=CSV),
        client.post("/predict/", content=b"\xff", headers=CSV),
        client.post("/predictionsStream/", content=b"x\n1\n2\n", headers=stream),
    ]
    found = [(response.request.url.path, response.headers.get_list(HEADER)) for response in responses]
    assert found == [(path, [f"model@1;digest={digest[:12]}"]) for path, _ in found]
    invalid = exchange(server, request_bytes(server, "GET / HTTP/9.9"))
    assert invalid.lower().count(b"\r\nx-drum-model: model@1;digest=" + digest[:12].encode()) == 1


def test_the_header_can_be_switched_off(named_server: RunningServer) -> None:
    assert [HEADER in named_server.client.get(path).headers for path in ("/info/", "/nothing")] == [False, False]
    assert b"x-drum-model" not in exchange(named_server, request_bytes(named_server, "GET / HTTP/9.9")).lower()


def test_access_lines_have_fields(named_server: RunningServer) -> None:
    client = named_server.client
    info = client.get("/info/").json()
    assert (info["modelName"], info["modelVersion"]) == ("Größe; 1", "2.10")
    client.post("/predict/?a=1", content=b"x\n1\n2\n3\n", headers={**CSV, "X-Request-ID": "mine"})
    client.get("/thing%1B[31m" + "x" * 2000)
    paths = {"/info/", "/predict/", "/thing"}
    named_server.wait_until(lambda: len(access_lines(named_server).keys() & paths) == 3, "the access lines")
    about, predicted, unknown = (access_lines(named_server)[path] for path in sorted(paths))
    model = {"model": "Größe; 1@2.10", "model_digest": info["modelDigest"][:12]}
    assert {name: predicted[name] for name in ("method", "path", "status", "rows", "request_id", *model)} == {
        "method": "POST",
        "path": "/predict/",
        "status": 200,
        "rows": 3,
        "request_id": "mine",
        **model,
    }
    assert predicted["duration_ms"] > predicted["queue_ms"] >= 0
    assert (about["path"], about["status"], "rows" in about, "queue_ms" in about) == ("/info/", 200, False, False)
    assert unknown["status"] == 404 and len(unknown["path"]) < 1100


def test_the_metrics_name_the_model(named_server: RunningServer) -> None:
    digest = named_server.client.get("/info/").json()["modelDigest"][:12]
    (line,) = [
        line for line in named_server.client.get("/metrics").text.splitlines() if line.startswith("drum_model_info{")
    ]
    assert f'digest="{digest}"' in line and 'version="2.10"' in line
