"""``/info/``, ``/stats/`` and ``/capabilities/``: keys, types, and no credentials."""

from importlib.metadata import version
from typing import Any

import httpx
import psutil
import pytest

from datarobot_drum import __version__
from tests.api.all_servers import Servers
from tests.api.conftest import SECRET
from tests.api.responses import request_all
from tests.processes import RunningServer

pytestmark = pytest.mark.process

EXECUTOR_KEYS = {
    "executor_workers",
    "executor_concurrency",
    "executor_max_queue",
    "executor_pending",
    "executor_queue_available",
    "executor_completed",
    "executor_rejected",
    "executor_running",
    "executor_paused",
    "executor_waiting",
    "executor_failed",
    "executor_cancelled",
    "executor_timed_out",
}
EXECUTOR_TIMES = ("executor_wait_seconds", "executor_run_seconds")
CSV = b"a,b\n1,2\n"


@pytest.fixture
def stats(server: RunningServer) -> dict[str, Any]:
    server.client.post("/predict/", content=CSV)
    document: dict[str, Any] = server.client.get("/stats/").json()
    return document


def test_info_describes_the_model(client: httpx.Client, server_type: str) -> None:
    info = client.get("/info/").json()
    assert info.pop("codeDir").endswith("/model")
    assert info.pop("libraries").keys() >= {"python", "datarobot_drum", "numpy", "pandas"}
    assert len(info.pop("modelDigest")) == 64
    assert info == {
        "compiled": None,
        "drumServer": server_type,
        "drumVersion": __version__,
        "language": "python",
        "maxConcurrency": None,
        "modelMetadata": None,
        "modelName": "model",
        "modelVersion": "1",
        "predictor": "custom",
        "targetType": "regression",
    }


def test_info_differs_between_servers_only_by_their_names(echo_servers: Servers) -> None:
    responses = request_all(echo_servers, "GET", "/info/")
    neutral = {response.body.replace(name.encode(), b"?") for name, response in responses.items()}
    assert len(neutral) == 1


def test_stats_list_the_processes_of_the_server(stats: dict[str, Any], server: RunningServer) -> None:
    pids = [process["pid"] for process in stats["drum_info"]]
    children = [child.pid for child in psutil.Process(server.process.pid).children()]
    assert pids == [server.process.pid, *children]
    for process in stats["drum_info"]:
        assert set(process) == {"cmdline", "cpu_percent", "mem", "pid"}
        assert all(isinstance(word, str) for word in process["cmdline"])
        assert 1 < process["mem"] < 5000
        assert process["cpu_percent"] >= 0


def test_stats_report_memory_in_mib(stats: dict[str, Any]) -> None:
    memory = stats["mem_info"]
    assert memory["total"] == pytest.approx(psutil.virtual_memory().total / 2**20)
    assert memory["drum_rss"] == pytest.approx(sum(process["mem"] for process in stats["drum_info"]))
    assert 0 < memory["free"] <= memory["total"]
    assert 0 < memory["avail"] <= memory["total"]
    for name in ("container_limit", "container_used", "container_max_used"):
        assert memory[name] is None or memory[name] > 0


def test_stats_report_prediction_times(stats: dict[str, Any]) -> None:
    times = stats["time_info"]["run_predictor_total"]
    assert 0 < times["min"] <= times["avg"] <= times["max"]


def test_only_fastapi_reports_an_executor(stats: dict[str, Any], server_type: str) -> None:
    if server_type != "fastapi":
        assert not EXECUTOR_KEYS.intersection(stats)
        return
    assert all(isinstance(stats[key], int) for key in EXECUTOR_KEYS)
    assert stats["executor_pending"] == 0
    assert (stats["executor_concurrency"], stats["executor_concurrency_mode"]) == (stats["executor_workers"], "auto")
    assert stats["executor_queue_available"] == stats["executor_workers"] + stats["executor_max_queue"]
    for times in (stats[key] for key in EXECUTOR_TIMES):
        assert times["count"] >= 1
        assert 0 <= times["p50"] <= times["p90"] <= times["p99"] <= times["max"] <= times["sum"]


def test_the_executor_counts_calls_whether_they_succeed_or_raise(echo_servers: Servers) -> None:
    client = echo_servers["fastapi"].client
    before = client.get("/stats/").json()["executor_completed"]
    for body in (CSV, b"action\nraise\n", b"action\nhttp-418\n"):
        client.post("/predict/", content=body)
    assert client.get("/stats/").json()["executor_completed"] == before + 3


def test_capabilities_name_the_formats_and_their_packages(client: httpx.Client) -> None:
    assert client.get("/capabilities/").json() == {
        "supported_payload_formats": {
            "csv": version("pandas"),
            "mtx": version("scipy"),
            "json": version("orjson"),
            "jsonlines": version("orjson"),
            "arrow": version("pyarrow"),
            "parquet": version("pyarrow"),
        },
        "supported_methods": {"chat": False, "completions": False, "embeddings": False, "responses": False},
    }


def test_no_route_or_log_shows_a_credential(server: RunningServer) -> None:
    responses = {path: server.client.get(path).text for path in ("/info/", "/stats/", "/capabilities/")}
    assert [path for path, response in responses.items() if SECRET in response] == []
    assert "--api-token" in responses["/stats/"] or "gunicorn" in responses["/stats/"]
    assert SECRET not in server.log()
