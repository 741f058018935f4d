"""A real Prometheus with the rules of ``deploy/prometheus``: each alert fires in its fault, and none in normal load."""

import json
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from tests.management.management_client import ManagedServer
from tests.packaging.test_boards import DEPLOY, SERIES, alerts, board
from tests.processes import PLAIN, free_port
from tests.resilience.conftest import StartServer
from tests.resilience.models import CODE, ControlledModel

PROGRAMS = {name: shutil.which(name) for name in ("prometheus", "promtool")}

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not all(PROGRAMS.values()), reason="no prometheus, promtool (Debian's package prometheus)"),
]

RULES = DEPLOY / "prometheus" / "drum.rules.yaml"
SCRAPE_SECONDS = 0.3
MINUTE, HOUR, DAY = 0.6, 30.0, 30.0
"""Seconds that stand for a minute, an hour and a day of the rules."""

NORMAL_SECONDS = DAY + 15 * MINUTE
"""As long as the rule with the longest look back needs."""

FAULT_SECONDS = 90.0
"""Time limit of a fault to have its alert."""

FAULTS = """
KEPT = []
_score = score

def score(data, model, **kwargs):
    if "fail" in data:
        raise ValueError("asked for")
    if "keep" in data:
        KEPT.append(bytearray(int(data["keep"].iloc[0])))
    return _score(data, model, **kwargs)
"""


def scale(rules: str) -> str:
    """Return the rules with their minutes, hours and days as long as the test has time for."""
    seconds = {"m": MINUTE, "h": HOUR, "d": DAY}

    def shorter(found: re.Match[str]) -> str:
        return f"{round(int(found[1]) * seconds[found[2]] * 1000)}ms"

    return re.sub(r"\b(\d+)([mhd])\b", shorter, rules).replace("4 * 3600", f"4 * {HOUR}")


class Prometheus:
    """A Prometheus that scrapes one management port, and keeps the names of all alerts that have fired."""

    def __init__(self, folder: Path, target_port: int) -> None:
        self.port = free_port()
        self._folder = folder
        (folder / "rules.yaml").write_text(scale(RULES.read_text(encoding="utf-8")), encoding="utf-8")
        configuration = {
            "global": {"scrape_interval": "300ms", "scrape_timeout": "300ms", "evaluation_interval": "300ms"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": "drum", "static_configs": [{"targets": [f"127.0.0.1:{target_port}"]}]}],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        self.fired: set[str] = set()

    @contextmanager
    def running(self) -> Iterator["Prometheus"]:
        command = [
            str(PROGRAMS["prometheus"]),
            f"--config.file={self._folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--query.lookback-delta=2s",
            "--log.level=warn",
        ]
        with (self._folder / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
            ended = threading.Event()
            try:
                with ThreadPoolExecutor(1) as thread:
                    watching = thread.submit(self._watch, ended)
                    try:
                        yield self
                    finally:
                        ended.set()
                    watching.result()
            finally:
                process.terminate()
                process.wait()

    def get(self, path: str) -> Any:
        response = httpx.get(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=10.0, **PLAIN)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(SCRAPE_SECONDS):
            with suppress(httpx.TransportError):
                self.fired |= {
                    alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"
                }

    def wait_until_fired(self, *names: str) -> None:
        deadline = time.monotonic() + FAULT_SECONDS
        while not set(names) <= self.fired:
            assert time.monotonic() < deadline, f"{names}: fired are {self.fired}; {json.dumps(self.get('alerts'))}"
            time.sleep(SCRAPE_SECONDS)


@contextmanager
def sending(url: str, content: str, clients: int = 1, pause: float = 0.05) -> Iterator[None]:
    """Send requests from several clients until the end of the ``with`` block, whatever is answered."""
    ended = threading.Event()

    def send() -> None:
        headers = {"Content-Type": "text/csv"}
        with httpx.Client(headers=headers, timeout=30.0, **PLAIN) as client:
            while not ended.wait(pause):
                with suppress(httpx.TransportError):
                    client.post(url, content=content)

    with ThreadPoolExecutor(clients) as threads:
        sent = [threads.submit(send) for _ in range(clients)]
        try:
            yield
        finally:
            ended.set()
        for each in sent:
            each.result()


def test_promtool_accepts_the_rules() -> None:
    done = subprocess.run([str(PROGRAMS["promtool"]), "check", "rules", RULES], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def managed(start: StartServer, model: ControlledModel) -> ManagedServer:
    (model.path / "custom.py").write_text(CODE + FAULTS, encoding="utf-8")
    parameters = {"WORKERS": 2, "EXECUTOR_WORKERS": 2, "EXECUTOR_QUEUE_TIMEOUT": 2, "CLIENT_REQUEST_TIMEOUT": 3}
    return ManagedServer(start, "fastapi", CONCURRENCY="fixed", **parameters)


def kill_workers(managed: ManagedServer, is_enough: Callable[[], bool]) -> None:
    deadline = time.monotonic() + FAULT_SECONDS
    while not is_enough():
        assert time.monotonic() < deadline
        with suppress(psutil.Error):
            for worker in managed.workers():
                worker.kill()
        time.sleep(SCRAPE_SECONDS)


def test_each_alert_fires_in_its_fault_and_none_in_normal_load(tmp_path: Path, managed: ManagedServer) -> None:
    url = managed.server.url + "/predict/"
    with Prometheus(tmp_path, managed.port).running() as prometheus, sending(url, "x\n1\n2\n", clients=2):
        time.sleep(NORMAL_SECONDS)
        assert prometheus.fired == set()
        named = {name for rule in alerts() for name in SERIES.findall(rule["expr"])}
        named |= {
            n for panel in board()["panels"] for target in panel["targets"] for n in SERIES.findall(target["expr"])
        }
        assert named <= set(prometheus.get("label/__name__/values"))

        with sending(url, "x,fail\n1,1\n"):
            prometheus.wait_until_fired("DrumServerErrors")
        with sending(url, "x,seconds\n1,1.2\n", clients=16, pause=0.0):
            prometheus.wait_until_fired("DrumOverloaded", "DrumQueueWait", "DrumSlowModel")
        with sending(url, "x,seconds\n1,4\n", clients=2):
            prometheus.wait_until_fired("DrumTimeouts")
        with sending(url, "x,hold_gil\n1,2\n", clients=4):
            prometheus.wait_until_fired("DrumEventLoopBlocked")
        with sending(url, f"x,keep\n1,{3 << 20}\n", clients=1, pause=0.1):
            prometheus.wait_until_fired("DrumMemoryGrows")
        kill_workers(managed, lambda: "DrumCrashLoop" in prometheus.fired)
        managed.server.send_signal(signal.SIGTERM)
        prometheus.wait_until_fired("DrumNoModel")
        assert prometheus.fired == {rule["alert"] for rule in alerts()}
