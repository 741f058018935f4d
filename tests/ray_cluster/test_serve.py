"""The server on Ray Serve: the responses of our own servers, and none lost with a replica, a node or a version."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cases import each_case
from tests.processes import PLAIN, RunningServer, free_port
from tests.ray_cluster.conftest import add_node

pytestmark = [pytest.mark.process, pytest.mark.filterwarnings("ignore")]

MODEL = """
import os
import time

import pandas as pd

VERSION = 1


def load_model(code_dir):
    return 1


def score(data, model, **kwargs):
    if "sleep" in data:
        time.sleep(float(data["sleep"].iloc[0]))
    return pd.DataFrame({"Predictions": data.iloc[:, 0] * VERSION, "pid": os.getpid()})


def score_stream(data, model, **kwargs):
    for start in range(0, len(data), 2):
        time.sleep(0.02)
        yield pd.DataFrame({"Predictions": data.iloc[start : start + 2, 0] * 1.0})
"""

CSV = {"Content-Type": "text/csv"}
SAME = ("status", "content-type", "body", "retry-after", "allow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tmp_path_factory.mktemp("model")
    (model / "custom.py").write_text(MODEL)
    (model / "custom_fastapi.py").write_text(
        "def init_app(app):\n    @app.get('/own')\n    def own():\n        return {'own': True}\n"
    )
    return model


@pytest.fixture(scope="module")
def url(cluster: Any) -> Iterator[str]:
    from ray import serve

    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()


@pytest.fixture
def deploy(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def run(**more: Any) -> None:
        from ray import serve

        from datarobot_drum.ray import build_app

        for name, value in more.pop("variables", {}).items():
            monkeypatch.setenv(name, value)
        arguments = {"code_dir": folder, "target_type": "regression", "max_workers": 2, **more}
        serve.run(build_app(**arguments))

    return run


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/", {}),
    ("GET", "/livez", {}),
    ("GET", "/readyz", {}),
    ("GET", "/own", {}),
    ("GET", "/none", {}),
    ("GET", "/predict/", {}),
    ("POST", "/predict/", {"content": b"a\n1\n2\n", "headers": CSV, "mask": "pid"}),
    ("POST", "/predict/", {"content": b'{"data": [{"a": 1}]}', "headers": {"Content-Type": "application/json"}}),
    ("POST", "/predict/", {"content": b"", "headers": CSV}),
    ("POST", "/predict/", {"content": b"a\nx\n", "headers": {"Content-Type": "image/png"}}),
    ("POST", "/predict/", {"content": b"a\n1\n", "headers": {**CSV, "Content-Encoding": "br"}}),
    ("POST", "/predictUnstructured/", {"content": b"x"}),
    ("POST", "/predictionsStream/", {"content": b"a\n1\n2\n3\n4\n5\n", "headers": {**CSV, "Accept": "text/csv"}}),
    ("POST", "/predict/", {"files": {"X": ("x.csv", b"a\n1\n", "text/csv")}}),
]


def _respond(client: httpx.Client, method: str, path: str, options: dict[str, Any]) -> dict[str, Any]:
    response = client.request(method, path, **{name: value for name, value in options.items() if name != "mask"})
    headers = {name: value for name, value in response.headers.items() if name in SAME}
    body = response.text
    if response.headers.get("content-type") == "application/json" and "extraModelOutput" in body:
        body = json.dumps(json.loads(body)["predictions"])
    return {"status": response.status_code, **headers, "body": body}


def test_responses_equal_those_of_our_own_server(
    deploy: Callable[..., None], url: str, folder: Path, tmp_path: Path
) -> None:
    deploy()
    arguments = ("--code-dir", folder, "--target-type", "regression")
    environment = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_LAME_DUCK_SECONDS": "0"}
    with (
        RunningServer(*arguments, log=tmp_path / "log", environment=environment) as server,
        httpx.Client(base_url=url, timeout=60, **PLAIN) as client,
    ):
        for method, path, options in REQUESTS:
            expected = _respond(server.client, method, path, options)
            assert _respond(client, method, path, options) == expected, (method, path)
        response = client.get("/livez", headers={"X-Request-ID": "mine"})
        assert response.headers.get_list("x-request-id") == ["mine"] and "x-drum-version" in response.headers
        large = b"a\n" + b"1\n" * 3_000_000
        assert len(client.post("/predict/", content=large, headers=CSV).json()["predictions"]) == 3_000_000


def test_refused_call_is_a_503_with_retry_after(deploy: Callable[..., None], url: str) -> None:
    deploy(max_workers=1, variables={"DRUM_EXECUTOR_WORKERS": "1", "DRUM_EXECUTOR_QUEUE_TIMEOUT": "1"})
    with ThreadPoolExecutor(12) as pool:
        body = b"a,sleep\n1,1\n"
        responses = list(
            pool.map(lambda _: httpx.post(f"{url}/predict/", content=body, headers=CSV, **PLAIN), range(12))
        )
    refused = [response for response in responses if response.status_code != 200]
    assert 0 < len(refused) < 12 and {response.status_code for response in refused} == {503}
    assert {response.headers["retry-after"] for response in refused} == {"5"}
    assert {response.json()["error"] for response in refused} == {"SERVICE_UNAVAILABLE"}


class _Load:
    """Requests of several clients, back to back, until the end of the block."""

    def __init__(self, url: str, clients: int = 4) -> None:
        self._url, self._clients = url, clients
        self.statuses: list[int] = []
        self.values: list[float] = []
        self._ending = threading.Event()

    def __enter__(self) -> "_Load":
        self._threads = [threading.Thread(target=self._run) for _ in range(self._clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        target = len(self.statuses) + count
        while len(self.statuses) < target:
            time.sleep(0.02)

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, **PLAIN) as client:
            while not self._ending.is_set():
                response = client.post("/predict/", content=b"a\n1\n", headers=CSV)
                self.statuses.append(response.status_code)
                if response.status_code == 200:
                    self.values += [row for row in response.json()["predictions"] if isinstance(row, float)]


def _pids(url: str) -> set[int]:
    found = set()
    with ThreadPoolExecutor(4) as pool:
        for response in pool.map(
            lambda _: httpx.post(f"{url}/predict/", content=b"a\n1\n", headers=CSV, **PLAIN), range(30)
        ):
            found.add(response.json()["extraModelOutput"][0]["pid"])
    return found


def test_killed_replica_loses_only_what_was_inside(deploy: Callable[..., None], url: str) -> None:
    deploy()
    victim = min(_pids(url))
    with _Load(url) as load:
        load.wait_for(50)
        os.kill(victim, signal.SIGKILL)
        load.wait_for(200)
    failed = [status for status in load.statuses if status != 200]
    assert len(failed) <= 4, failed


def test_update_to_another_version_loses_no_request(deploy: Callable[..., None], url: str, folder: Path) -> None:
    deploy()
    code = folder / "custom.py"
    try:
        with _Load(url) as load:
            load.wait_for(50)
            code.write_text(MODEL.replace("VERSION = 1", "VERSION = 2"))
            deploy(variables={"DRUM_SERVED_MODEL_VERSION": "2"})
            load.wait_for(50)
    finally:
        code.write_text(MODEL)
    assert set(load.statuses) == {200}
    assert 1.0 in load.values and load.values[-20:] == [2.0] * 20


def test_killed_node_loses_only_what_was_inside(deploy: Callable[..., None], url: str, cluster: Any) -> None:
    deploy(ray_cpus=2)  # one replica on each node
    other = next(node for node in cluster.list_all_nodes() if node is not cluster.head_node)
    try:
        with _Load(url) as load:
            load.wait_for(50)
            cluster.remove_node(other, allow_graceful=False)
            load.wait_for(200)
    finally:
        add_node(cluster)
    failed = [status for status in load.statuses if status != 200]
    assert len(failed) <= 4, failed


def test_model_that_does_not_load_never_replaces_one_that_serves(
    deploy: Callable[..., None], url: str, folder: Path
) -> None:
    deploy()
    code = folder / "custom.py"
    try:
        code.write_text("raise ValueError('broken')\n")
        with pytest.raises(RuntimeError), _Load(url) as load:
            deploy(variables={"DRUM_SERVED_MODEL_VERSION": "3"})
    finally:
        code.write_text(MODEL)
    assert set(load.statuses) == {200}


@each_case(
    "arguments, message",
    [({"ray_cpu": 1}, "'ray_cpu' is no argument"), ({"target_tipe": "x"}, "did you mean 'target_type'")],
)
def test_wrong_arguments_are_reported_where_the_app_is_built(arguments: dict[str, Any], message: str) -> None:
    from datarobot_drum.drum.exceptions import UsageError
    from datarobot_drum.ray import build_app

    with pytest.raises(UsageError, match=message):
        build_app(**arguments)


def test_secrets_are_no_part_of_the_deployment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datarobot_drum.ray import build_app

    monkeypatch.setenv("DRUM_API_KEYS", "very-secret-key")
    monkeypatch.setenv("DRUM_MAX_ROWS", "7")
    app = build_app(code_dir=folder, target_type="regression", api_token="very-secret-token")
    variables = app._bound_deployment.ray_actor_options["runtime_env"]["env_vars"]
    assert variables["DRUM_MAX_ROWS"] == "7" and "very-secret" not in str(variables)
