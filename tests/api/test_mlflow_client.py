"""MLflow's scoring server: its own client where it is installed, and the requests that its clients send."""

import json
from urllib.parse import urlsplit

import httpx
import pandas as pd
import pytest

from datarobot_drum.version import __version__
from tests.api.all_servers import Servers
from tests.api.responses import assert_same_response
from tests.processes import RunningServer

pytestmark = pytest.mark.process

FRAME = pd.DataFrame({"a": [1.5, None, 3.0], "b": ["x", "y", None]})


def test_version_is_text(echo_servers: Servers) -> None:
    response = assert_same_response(echo_servers, "GET", "/version")
    assert (response.status, response.body) == (200, __version__.encode())
    assert dict(response.headers)["content-type"] == "text/plain; charset=utf-8"
    assert assert_same_response(echo_servers, "GET", "/version/") == response


@pytest.mark.parametrize("path", ["/ping", "/health"])
def test_probes_have_the_paths_of_mlflow(echo_servers: Servers, path: str) -> None:
    assert assert_same_response(echo_servers, "GET", path).status == 200


def test_invocations_reads_what_clients_send(echo_servers: Servers) -> None:
    """Python writes missing cells as NaN, which JSON does not have."""
    body = json.dumps({"dataframe_split": FRAME.to_dict(orient="split")})
    assert "NaN" in body
    headers = {"Content-Type": "application/json"}
    response = assert_same_response(echo_servers, "POST", "/invocations", content=body, headers=headers)
    csv = assert_same_response(echo_servers, "POST", "/invocations", content=FRAME.to_csv(index=False))
    assert response == csv
    assert len(httpx.Response(200, content=response.body).json()["predictions"]) == len(FRAME)


def test_the_client_of_mlflow_predicts(server: RunningServer) -> None:
    client_module = pytest.importorskip("mlflow.pyfunc.scoring_server.client")
    address = urlsplit(server.url)
    client = client_module.ScoringServerClient(address.hostname, address.port)
    client.wait_server_ready(timeout=10)
    assert client.get_version() == __version__
    expected = server.client.post("/predict/", content=FRAME.to_csv(index=False)).json()["predictions"]
    assert client.invoke(FRAME)["predictions"] == expected
    assert client.invoke(FRAME).get_predictions()[0].tolist() == expected
    assert len(client.invoke(FRAME[["a"]].fillna(0).to_numpy())["predictions"]) == len(FRAME)
    with pytest.raises(Exception, match="takes no params"):
        client.invoke(FRAME, params={"temperature": 1})
