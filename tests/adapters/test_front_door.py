"""The app of a server of ours: FastAPI is there when it is needed, and not before."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.processes import RunningServer

pytestmark = pytest.mark.process

MODEL = """
import sys


def load_model(code_dir):
    return "model"


def score_unstructured(model, data, **kwargs):
    return " ".join(name for name in ("fastapi", "pydantic", "starlette.routing") if name in sys.modules)
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    code_dir = tmp_path / "model"
    code_dir.mkdir()
    (code_dir / "custom.py").write_text(MODEL)
    words = ("--code-dir", code_dir, "--target-type", "unstructured")
    environment = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_LAME_DUCK_SECONDS": "0"}
    with (
        RunningServer(*words, log=tmp_path / "log", environment=environment) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=60) as client,
    ):
        yield client


def test_fastapi_is_loaded_for_the_first_request_that_is_no_routes(client: httpx.Client) -> None:
    def loaded() -> str:
        return client.post("/predictUnstructured/", content=b"x").text

    assert loaded() == ""
    assert [client.request(method, "/livez").status_code for method in ("GET", "HEAD")] == [200, 200]
    assert client.get("/info/").status_code == client.get("/openapi.json").status_code == 200
    assert loaded() == ""
    with ThreadPoolExecutor(8) as threads:
        requests = [("GET", "/nothing"), ("PUT", "/livez"), ("POST", "/predictUnstructured/")] * 8
        answers = list(threads.map(lambda request: client.request(*request, content=b"x").status_code, requests))
    assert answers == [404, 405, 200] * 8
    assert loaded() == "fastapi pydantic starlette.routing"
