"""Metrics of real servers: scraped during load, while workers are killed and replaced, and what is left behind."""

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from datarobot_drum.drum.management.metrics_directory import MEMORY, PREFIX, MetricsDirectory
from datarobot_drum.drum.settings.environment import export_metrics_directory
from tests.management.management_client import PROCESS, ManagedServer
from tests.processes import PLAIN
from tests.resilience.conftest import StartServer
from tests.resilience.models import CODE, ControlledModel

OWN_METRIC = """
from prometheus_client import Counter, Gauge

SEEN = Counter("model_rows_total", "Rows that the model has seen.")
RUNNING = Gauge("model_running", "Predictions that run.", multiprocess_mode="livesum")
_score = score

def score(data, model, **kwargs):
    SEEN.inc(len(data))
    with RUNNING.track_inprogress():
        return _score(data, model, **kwargs)
"""
REPLACED_AFTER = 25
CLIENTS = 4
ROWS = "x\n1\n2\n"
CSV = {"Content-Type": "text/csv"}
OK_PREDICTIONS = 'drum_requests_total{route="/predict",status="200"}'

Samples = dict[str, float]

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def counting_model(model: ControlledModel) -> None:
    (model.path / "custom.py").write_text(CODE + OWN_METRIC, encoding="utf-8")


def parse(text: str) -> tuple[Samples, Samples]:
    """The samples that may never fall, and the others, by name and labels."""
    counted: Samples = {}
    others: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            samples = counted if family.type in ("counter", "histogram") else others
            samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return counted, others


class Scraper:
    """Scrapes again and again, and keeps the series that have fallen or disappeared."""

    def __init__(self, managed: ManagedServer) -> None:
        self._managed = managed
        self._lock = threading.Lock()
        self._before: Samples = {}
        self.scrapes = 0
        self.fallen: list[str] = []

    def scrape(self) -> Samples:
        with self._lock:
            response = self._managed.probe("/metrics")
            assert response.status == 200, response.content
            counted, others = parse(response.content.decode())
            self.fallen += [name for name, value in self._before.items() if counted.get(name, -1.0) < value]
            self._before = counted
            self.scrapes += 1
            return counted | others

    @contextmanager
    def running(self) -> Iterator[None]:
        """Scrape during the ``with`` block."""
        ended = threading.Event()

        def scrape_often() -> None:
            while not ended.wait(0.05):
                self.scrape()

        with ThreadPoolExecutor(1) as thread:
            scraping = thread.submit(scrape_often)
            try:
                yield
            finally:
                ended.set()
            scraping.result()

    def wait_for(self, name: str, value: float) -> None:
        self._managed.server.wait_until(lambda: self.scrape().get(name, 0.0) == value, f"{name} {value}")


def send(managed: ManagedServer, requests: int) -> None:
    """Send predictions of two rows from several clients; each is answered with 200."""

    def post(_: int) -> int:
        return httpx.post(
            managed.server.url + "/predict/", content=ROWS, headers=CSV, timeout=60.0, **PLAIN
        ).status_code

    with ThreadPoolExecutor(CLIENTS) as clients:
        assert list(clients.map(post, range(requests))) == [200] * requests


def workers_of(managed: ManagedServer) -> list[psutil.Process]:
    """The workers; none while one of them is ending."""
    try:
        return managed.workers()
    except psutil.Error:
        return []


def directory_of(managed: ManagedServer) -> Path:
    """The directory of the model's metrics, which processes of the server have in their environment."""
    return Path(managed.process().environ()["PROMETHEUS_MULTIPROC_DIR"])


@pytest.mark.parametrize(("server_type", "workers"), [("flask", 1), ("gunicorn", 2), ("fastapi", 2)])
def test_no_counter_falls_and_sums_are_exact(start: StartServer, server_type: str, workers: int) -> None:
    limits = {f"{name}_MAX_REQUESTS": REPLACED_AFTER for name in ("FASTAPI", "GUNICORN")}
    managed = ManagedServer(start, server_type, WORKERS=workers, METRICS="all", **limits)
    scraper = Scraper(managed)
    with scraper.running():
        send(managed, 2 * REPLACED_AFTER * workers)
        sent = 2 * REPLACED_AFTER * workers
        scraper.wait_for(OK_PREDICTIONS, sent)
        if workers > 1:
            found: list[psutil.Process] = []

            def finds_workers() -> bool:
                found[:] = workers_of(managed)
                return len(found) == workers

            managed.server.wait_until(finds_workers, "the replaced workers")
            killed = found[0]
            os.kill(killed.pid, signal.SIGKILL)
            managed.server.wait_until(lambda: not psutil.pid_exists(killed.pid), "the end of the worker")
            managed.server.wait_until(lambda: len(workers_of(managed)) == workers, "another worker")
        send(managed, 20)
        sent += 20
        scraper.wait_for(OK_PREDICTIONS, sent)
        scraper.wait_for("drum_queue_depth", 0)  # a gauge is up to a second old
    samples = scraper.scrape()
    assert scraper.fallen == []
    assert scraper.scrapes > 5
    assert samples["drum_rows_total"] == samples["model_rows_total"] == 2 * sent
    assert samples["drum_request_duration_seconds_count"] == samples["drum_request_bytes_count"] == sent
    assert samples["drum_prediction_duration_seconds_count"] == samples["drum_queue_wait_seconds_count"] == sent
    assert samples["model_running"] == 0
    assert samples["drum_worker_restarts_total"] >= workers - 1
    main_port = parse(managed.server.client.get("/metrics").text)[0]
    assert main_port[OK_PREDICTIONS] == sent
    directory = directory_of(managed)
    assert directory.is_dir()
    managed.server.stop()
    assert not directory.exists()


def test_gauges_show_running_and_waiting_predictions(start: StartServer, model: ControlledModel) -> None:
    managed = ManagedServer(start, "fastapi", EXECUTOR_WORKERS=2, CONCURRENCY="fixed")
    model.hold()
    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(send, managed, CLIENTS)
        scraper = Scraper(managed)
        scraper.wait_for('drum_executor_slots{state="running"}', 2)
        scraper.wait_for("drum_queue_depth", CLIENTS - 2)
        assert scraper.scrape()["model_running"] == 2
        model.release()
        sending.result()
    scraper.wait_for("drum_queue_depth", 0)
    found = scraper.scrape()
    assert found["drum_event_loop_lag_seconds_count"] > 0
    assert found["process_resident_memory_bytes"] > 1e7
    assert any(name.startswith("drum_model_info{") and 'framework="custom"' in name for name in found)
    assert managed.server.client.get("/metrics").status_code == 404
    managed.server.stop()


def test_the_management_process_imports_nothing_for_metrics_before_the_first_scrape(start: StartServer) -> None:
    managed = ManagedServer(start, "flask")
    managed.wait_for("/readyz", 200, {"status": "ready"})
    before = managed.process().memory_info().rss
    assert managed.probe("/metrics").status == 200
    assert managed.process().memory_info().rss > before
    command = "import sys, datarobot_drum.drum.management.process; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True).stdout.split()
    assert not set(loaded) & {"prometheus_client", "psutil", "orjson", "numpy"}
    assert PROCESS.rpartition(".")[0] in loaded
    managed.server.stop()


def test_metrics_can_be_switched_off(start: StartServer) -> None:
    managed = ManagedServer(start, "fastapi", METRICS="off")
    assert managed.probe("/metrics").status == 404
    managed.server.stop()


def test_the_directory_of_a_killed_server_is_removed_by_the_next_one(tmp_path: Path) -> None:
    alive, killed = Path(MEMORY / f"{PREFIX}alive-{os.getpid()}"), Path(MEMORY / f"{PREFIX}killed-{os.getpid()}")
    for folder in (alive, killed):
        folder.mkdir()
        os.utime(folder, (0, 0))
    holder = [sys.executable, "-c", f"import fcntl, os; fcntl.flock(os.open({str(alive)!r}, 0), 1); print(); input()"]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        directory = MetricsDirectory()
        directory.create()
        assert directory.path
        assert stat.S_IMODE(Path(directory.path).stat().st_mode) == 0o700
        assert alive.exists()
        assert not killed.exists()
        directory.close()
        assert not Path(directory.path or "").name.startswith(PREFIX)
        process.communicate(b"\n")
    alive.rmdir()


def test_without_a_folder_there_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr("datarobot_drum.drum.management.metrics_directory.MEMORY", tmp_path / "none")
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/proc")  # where even root cannot write
    export_metrics_directory(None)
    directory = MetricsDirectory()
    directory.create()
    assert directory.path is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
