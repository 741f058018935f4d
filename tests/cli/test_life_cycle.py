"""The life cycle of real servers: signals, draining, dying workers, settings of workers."""

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.cli.commands import FASTAPI, FASTAPI_2, FLASK, GUNICORN, GUNICORN_2, LABELS, SETUPS, Setup, write_model
from tests.cli.waiting_requests import accepts, predict, request_in_flight, wait_draining
from tests.processes import STOP_TIMEOUT, RunningServer

pytestmark = pytest.mark.process

REGRESSION = ("--target-type", "regression")

every_setup = pytest.mark.parametrize("setup", SETUPS, ids=str)
two_workers = pytest.mark.parametrize("setup", [GUNICORN_2, FASTAPI_2], ids=str)


@pytest.fixture
def server(tmp_path: Path, setup: Setup) -> Iterator[RunningServer]:
    """A ready server over a gated model; its processes are killed at the end."""
    model = write_model(tmp_path)
    running = RunningServer("--code-dir", model, *REGRESSION, log=tmp_path / "log", environment=setup.environment)
    try:
        yield running.start()
    finally:
        running.kill()


@pytest.fixture
def loading_server(tmp_path: Path, setup: Setup) -> Iterator[RunningServer]:
    """A server whose model loads until ``hold-load`` is removed."""
    model = write_model(tmp_path)
    (tmp_path / "hold-load").touch()
    words = ("--code-dir", model, *REGRESSION)
    running = RunningServer(*words, log=tmp_path / "log", environment=setup.environment, ready=None)
    try:
        running.start()
        running.wait_until((tmp_path / "loading").exists, "load")
        yield running
    finally:
        running.kill()


def _workers(server: RunningServer) -> set[int]:
    """Return the ids of the worker processes, without zombies."""
    return {child.pid for child in psutil.Process(server.process.pid).children() if _is_worker(child)}


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "resource_tracker" not in " ".join(process.cmdline())  # multiprocessing's own helper
    except psutil.NoSuchProcess:  # raised for zombies, too
        return False


@pytest.mark.parametrize(
    ("setup", "number", "to_group"),
    [(setup, signal.SIGTERM, False) for setup in SETUPS]
    + [(setup, signal.SIGINT, False) for setup in (FLASK, GUNICORN, FASTAPI)]
    + [(setup, number, False) for setup in (FLASK, FASTAPI, FASTAPI_2) for number in (signal.SIGHUP, signal.SIGQUIT)]
    # A terminal sends Ctrl-C to every process of the group.
    + [(setup, signal.SIGINT, True) for setup in (GUNICORN_2, FASTAPI_2)],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else {True: "group"}.get(value, str(value)),
)
def test_stop_signal_finishes_requests_in_flight_and_leaves_nothing(
    server: RunningServer, tmp_path: Path, number: signal.Signals, to_group: bool
) -> None:
    with request_in_flight(server, tmp_path) as request:
        server.send_signal(number, to_group=to_group)
        wait_draining(server)
        assert not request.response.done(), server.log()
        request.release()
        response = request.response.result(STOP_TIMEOUT)
    assert (response.status_code, response.json()) == (200, {"predictions": [1.0]})
    assert server.wait() == 0, server.log()
    assert "Traceback" not in server.log()


def _was_aborted(response: "Future[httpx.Response]") -> bool:
    """Return True if there is no response, or one with a server error."""
    error = response.exception(STOP_TIMEOUT)
    return isinstance(error, httpx.TransportError) if error else response.result().status_code >= 500


@every_setup
def test_second_signal_stops_at_once(server: RunningServer, tmp_path: Path) -> None:
    with request_in_flight(server, tmp_path) as request:
        server.send_signal(signal.SIGTERM)
        wait_draining(server)
        server.send_signal(signal.SIGTERM)
        assert server.wait() != 0, server.log()
        assert _was_aborted(request.response)


@pytest.mark.parametrize("setup", [FLASK, FASTAPI, FASTAPI_2], ids=str)
def test_repeated_hangup_goes_on_draining(server: RunningServer, tmp_path: Path) -> None:
    """A terminal that closes and its shell may both send SIGHUP."""
    with request_in_flight(server, tmp_path) as request:
        server.send_signal(signal.SIGHUP)
        wait_draining(server)
        server.send_signal(signal.SIGHUP)
        request.release()
        assert request.response.result(STOP_TIMEOUT).status_code == 200
    assert server.wait() == 0, server.log()


@pytest.mark.parametrize("setup", [FLASK, FASTAPI, FASTAPI_2], ids=str)
def test_server_below_nohup_survives_a_hangup(tmp_path: Path, setup: Setup) -> None:
    command = ["nohup", sys.executable, "-m", "datarobot_drum", "server", "--address", "127.0.0.1:{port}"]
    words = ("--code-dir", write_model(tmp_path), *REGRESSION)
    with RunningServer(*words, log=tmp_path / "log", environment=setup.environment, command=command) as server:
        server.send_signal(signal.SIGHUP)
        assert [predict(server).status_code for _ in range(20)] == [200] * 20


@pytest.mark.parametrize("setup", [GUNICORN, FASTAPI], ids=str)
def test_stuck_request_is_aborted_after_graceful_timeout(tmp_path: Path, setup: Setup) -> None:
    words = ("--code-dir", write_model(tmp_path), *REGRESSION)
    environment = {**setup.environment, "DRUM_GRACEFUL_TIMEOUT": "1"}
    with RunningServer(*words, log=tmp_path / "log", environment=environment) as server:
        with request_in_flight(server, tmp_path) as request:
            server.send_signal(signal.SIGTERM)
            server.wait()
            assert _was_aborted(request.response)


@pytest.mark.parametrize(
    ("setup", "number"),
    [(setup, signal.SIGTERM) for setup in (FLASK, GUNICORN, FASTAPI, FASTAPI_2)]
    + [(setup, signal.SIGINT) for setup in (FLASK, GUNICORN)]
    + [(setup, number) for setup in (FLASK, FASTAPI, FASTAPI_2) for number in (signal.SIGHUP, signal.SIGQUIT)],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else str(value),
)
def test_stop_signal_interrupts_model_loading(loading_server: RunningServer, number: signal.Signals) -> None:
    loading_server.send_signal(number)
    assert loading_server.wait() == 0, loading_server.log()
    assert "Traceback" not in loading_server.log()


@two_workers
def test_ctrl_c_during_worker_start_stops_all_silently(tmp_path: Path, setup: Setup) -> None:
    words = ("--code-dir", write_model(tmp_path), *REGRESSION)
    server = RunningServer(*words, log=tmp_path / "log", environment=setup.environment, ready=None).start()
    try:
        started = ("Started worker", "Booting worker")
        server.wait_until(lambda: any(word in server.log() for word in started), "first worker")
        server.send_signal(signal.SIGINT, to_group=True)
        assert server.wait() == 0, server.log()
        assert "Traceback" not in server.log()
    finally:
        server.kill()


@two_workers
def test_killed_worker_is_replaced_while_the_server_runs(server: RunningServer) -> None:
    server.wait_until(lambda: len(_workers(server)) == 2, "second worker")
    previous = _workers(server)
    os.kill(min(previous), signal.SIGKILL)
    server.wait_until(lambda: len(_workers(server)) == 2 and _workers(server) != previous, "replacement")
    assert [predict(server).status_code for _ in range(20)] == [200] * 20
    server.stop()


@pytest.mark.parametrize("setup", [GUNICORN, GUNICORN_2, FASTAPI_2], ids=str)
def test_workers_exit_when_their_parent_is_killed(server: RunningServer) -> None:
    server.send_signal(signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    assert not accepts(server)


@pytest.mark.parametrize("setup", [GUNICORN], ids=str)
def test_gunicorn_master_is_the_started_process(server: RunningServer) -> None:
    assert "gunicorn" in psutil.Process(server.process.pid).cmdline()
    assert len(_workers(server)) == 1
    server.stop()


@pytest.mark.parametrize("setup", [FASTAPI, FASTAPI_2], ids=str)
def test_probes_respond_and_predictions_wait_while_the_model_loads(
    loading_server: RunningServer, tmp_path: Path
) -> None:
    loading_server.wait_ready("/livez")
    with ThreadPoolExecutor(1) as thread:
        prediction = thread.submit(predict, loading_server)
        # After a few more round trips the prediction has arrived.
        statuses = {path: loading_server.status(path) for path in ("/livez", "/readyz", "/", "/ping/", "/health/")}
        assert statuses == {"/livez": 200, "/readyz": 503, "/": 503, "/ping/": 503, "/health/": 503}
        assert not prediction.done()
        (tmp_path / "hold-load").unlink()
        assert prediction.result(STOP_TIMEOUT).status_code == 200
    loading_server.wait_ready()
    loading_server.stop()


@pytest.mark.parametrize("setup", [FLASK, GUNICORN_2, FASTAPI, FASTAPI_2], ids=str)
def test_relative_paths_and_unusual_labels_reach_every_worker(tmp_path: Path, setup: Setup) -> None:
    write_model(tmp_path, LABELS)
    labels = ["rot wein", "weiß", "日本 語", 'it\'s "x"']
    (tmp_path / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
    words = ("-cd", "model", "--target-type", "multiclass", "--class-labels-file", "labels.txt")
    log = tmp_path / "log"
    with RunningServer(*words, log=log, environment=setup.environment, folder=tmp_path) as server:
        responses = [predict(server).json() for _ in range(8)]
        assert responses == [{"predictions": [dict.fromkeys(labels, 0.25)]}] * 8
        (line,) = [line for line in server.log().splitlines() if "Serving " in line]
    workers = "1 worker" if setup.workers == 1 else f"{setup.workers} workers"
    assert f"{tmp_path / 'model'} (multiclass) with {setup.server_type}, {workers}, at {server.url}/" in line


@pytest.mark.parametrize("setup", [FASTAPI], ids=str)
def test_server_restarts_on_the_same_port(server: RunningServer) -> None:
    assert predict(server).status_code == 200
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    server.start()
    assert predict(server).status_code == 200
    server.stop()
