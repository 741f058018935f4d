"""One model folder that uses the whole Python contract, on all three servers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.api.all_servers import Servers, running_servers
from tests.api.contract_models import SECRET, write_contract_model, write_secrets
from tests.api.responses import Response, assert_same_response
from tests.api.test_payloads import message
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

TOKEN = "a-token-in-a-document"
AT_ONCE = 8


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("contract")
    model = write_contract_model(folder / "model")
    environment = {
        "USER_SECRETS_MOUNT_PATH": str(write_secrets(folder / "secrets")),
        "MINE_document": f'{{"type": "credential", "payload": {{"token": "{TOKEN}"}}}}',
        "DRUM_EXECUTOR_WORKERS": str(AT_ONCE),
        "DRUM_GUNICORN_WORKER_CLASS": "gthread",
        "DRUM_GUNICORN_THREADS": str(AT_ONCE),
    }
    arguments = ["--code-dir", str(model), "--target-type", "regression", "--user-secrets-prefix", "MINE"]
    with running_servers(folder, *arguments, environment=environment) as servers:
        yield servers


def ask(all_servers: Servers, body: bytes) -> Response:
    return assert_same_response(all_servers, "POST", "/predict/", content=body)


def extra(server: RunningServer) -> dict[str, Any]:
    first: dict[str, Any] = server.client.post("/predict/", content=b"x\n1\n").json()["extraModelOutput"][0]
    return first


def test_the_model_finds_helpers_artifacts_and_files_of_its_folder(server: RunningServer) -> None:
    assert server.client.post("/predict/", content=b"x\n1\n").json()["predictions"] == [1113.5]


def test_init_and_load_model_run_once_and_the_sample_is_predicted_before_any_request(server: RunningServer) -> None:
    first_calls: list[tuple[object, ...]] = [("init", []), ("load_model",), ("score", 7)]
    assert extra(server)["calls"].startswith(str(first_calls)[:-1])
    assert "Warmed up with warm_up.csv in " in server.log()


def test_hooks_get_the_secrets_they_declare(server: RunningServer) -> None:
    assert extra(server)["secrets"] == "['document', 'plain']"


def test_errors_logs_and_routes_mask_secrets(all_servers: Servers) -> None:
    response = ask(all_servers, b"tell\n1\n")
    assert (response.status, message(response)) == (500, "ERROR: ValueError: the secret ****")
    for server in all_servers.values():
        assert TOKEN not in server.log()
        assert TOKEN not in server.client.get("/info/").text + server.client.get("/stats/").text
        assert SECRET not in server.client.get("/info/").text + server.client.get("/stats/").text


def test_the_model_limits_concurrent_calls(server: RunningServer, server_type: str) -> None:
    assert server.client.get("/info/").json()["maxConcurrency"] == 2
    at_once = 1 if server_type == "flask" else 2
    with ThreadPoolExecutor(AT_ONCE) as pool:
        bodies = [b"at_once\n%d\n" % at_once] * AT_ONCE
        responses = list(pool.map(lambda body: httpx.post(f"{server.url}/predict/", content=body, timeout=60), bodies))
    assert [response.status_code for response in responses] == [200] * AT_ONCE
    assert {response.json()["extraModelOutput"][0]["peak"] for response in responses} == {at_once}


def test_the_model_limits_the_executor(all_servers: Servers) -> None:
    assert all_servers["fastapi"].client.get("/stats/").json()["executor_workers"] == 2


@each_case(
    ("body", "reason"),
    [
        (b"x,y\n1,2024-01-01\n", "data_types IN NUM, CAT is required, but the column 'y' is DATE."),
        (b"x,y,z\n1,2,3\n", "number_of_columns LESS_THAN 3 is required, but there are 3."),
    ],
)
def test_input_that_breaks_the_schema_gets_422(all_servers: Servers, body: bytes, reason: str) -> None:
    for path in ("/predict/", "/predictionsStream/"):
        response = assert_same_response(all_servers, "POST", path, content=body)
        assert (response.status, message(response)) == (422, f"ERROR: The input breaks typeSchema: {reason}")


def test_output_that_breaks_the_schema_gets_500(all_servers: Servers) -> None:
    response = ask(all_servers, b"spoil\n1\n")
    reason = "contains_missing EQUALS NEVER is required, but the column 'Predictions' has a missing value in row 1."
    assert (response.status, message(response)) == (500, f"ERROR: The model's output breaks typeSchema: {reason}")
