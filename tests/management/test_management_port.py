"""The management port of real servers: probes while workers are busy, hung, loading, draining, killed."""

import asyncio
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import psutil
import pytest

from tests.management.management_client import PROCESS, ManagedServer
from tests.processes import free_port, has_ended
from tests.resilience.conftest import StartServer
from tests.resilience.connections import Response, post, request_each, request_once, rows
from tests.resilience.models import ControlledModel

pytestmark = pytest.mark.process

ALIVE = {"status": "alive"}
READY = {"status": "ready"}
SERVERS = ["flask", "gunicorn", "fastapi"]
SETUPS = [(server, 1) for server in SERVERS] + [("gunicorn", 2), ("fastapi", 2)]
PROBES = 20

every_server = pytest.mark.parametrize("server_type", SERVERS)
every_setup = pytest.mark.parametrize(("server_type", "workers"), SETUPS)


def not_ready(reason: str) -> dict[str, str]:
    return {"status": "not ready", "reason": reason}


@contextmanager
def predictions(managed: ManagedServer, count: int, **columns: float) -> Iterator["Future[list[Response]]"]:
    """Send predictions at the same time; all have to be answered 200 in the end."""
    requests = [post(rows(1, **columns))] * count
    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(asyncio.run, request_each(managed.server.port, requests))
        yield pending
        assert [answer.status for answer in pending.result()] == [200] * count


def predicting_worker(managed: ManagedServer) -> int:
    """The process id of the worker that takes the next prediction."""
    return asyncio.run(request_once(managed.server.port, post(rows(1, pid=1)))).prediction


@every_setup
def test_probes_answer_while_every_worker_holds_the_gil(
    start: StartServer, model: ControlledModel, server_type: str, workers: int
) -> None:
    managed = ManagedServer(start, server_type, WORKERS=workers)
    managed.server.wait_until(lambda: managed.server.log().count("Model loaded") == workers, "all workers")
    managed.wait_for("/readyz", 200, READY)
    with predictions(managed, workers * 2, hold_gil=2) as pending:
        managed.server.wait_until(lambda: len(model.ran) >= workers, "a prediction in each worker")
        responses = [managed.probe(path) for path in ("/livez", "/readyz") * PROBES]
        assert not pending.done()
    assert {response.status for response in responses} == {200}
    managed.server.stop()


@pytest.mark.parametrize("worker_class", ["sync", "gthread"])
def test_probes_answer_while_the_only_gunicorn_worker_is_busy(
    start: StartServer, model: ControlledModel, worker_class: str
) -> None:
    managed = ManagedServer(start, "gunicorn", GUNICORN_WORKER_CLASS=worker_class)
    managed.wait_for("/readyz", 200, READY)
    model.hold()
    with predictions(managed, 1) as pending:
        managed.server.wait_until(lambda: bool(model.ran), "a prediction")
        assert [managed.probe(path).status for path in ("/livez", "/readyz") * PROBES] == [200] * 2 * PROBES
        assert not pending.done()
        model.release()
    managed.server.stop()


@every_server
def test_a_prediction_that_holds_the_gil_for_longer_than_the_limit_is_no_hang(
    start: StartServer, model: ControlledModel, server_type: str
) -> None:
    managed = ManagedServer(start, server_type, FASTAPI_WORKER_TIMEOUT=1)
    managed.wait_for("/readyz", 200, READY)
    statuses = set()
    with predictions(managed, 1, hold_gil=3) as pending:
        managed.server.wait_until(lambda: bool(model.ran), "a prediction")
        while not pending.done():
            statuses.add(managed.probe("/livez").status)
    assert statuses == {200}


@every_setup
def test_liveness_fails_while_every_worker_is_hung(start: StartServer, server_type: str, workers: int) -> None:
    managed = ManagedServer(start, server_type, WORKERS=workers, FASTAPI_WORKER_TIMEOUT=2)
    managed.server.wait_until(lambda: managed.server.log().count("Model loaded") == workers, "all workers")
    hung = managed.workers() or [psutil.Process(managed.server.process.pid)]
    for process in hung:
        managed.server.wait_until(lambda: predicting_worker(managed) == process.pid, "prediction")  # noqa: B023
    psutil.Process(managed.server.process.pid).suspend()  # a supervisor would replace them
    for process in hung[1:]:
        process.suspend()
    if len(hung) > 1:
        assert managed.probe("/livez").status == 200
    hung[0].suspend()
    pids = sorted(process.pid for process in hung)
    managed.server.wait_until(lambda: managed.probe("/livez").status == 503, "failed liveness")
    body = managed.probe("/livez").body
    assert (body["status"], body["reason"], sorted(body["pids"])) == ("not alive", "every worker is hung", pids)
    for process in hung:
        process.resume()
    managed.wait_for("/livez", 200, ALIVE)
    managed.wait_for("/readyz", 200, READY)


@every_setup
def test_probes_answer_while_the_model_loads(
    start: StartServer, model: ControlledModel, server_type: str, workers: int
) -> None:
    model.hold_gil_while_loading(3)
    managed = ManagedServer(start, server_type, WORKERS=workers, ready=None)
    managed.wait_for("/readyz", 503, not_ready("model is loading"))
    assert "Model loaded" not in managed.server.log()
    assert managed.probe("/livez").body == ALIVE
    managed.wait_for("/readyz", 200, READY)


@every_setup
def test_a_draining_server_is_alive_and_not_ready(
    start: StartServer, model: ControlledModel, server_type: str, workers: int
) -> None:
    managed = ManagedServer(start, server_type, WORKERS=workers)
    managed.wait_for("/readyz", 200, READY)
    model.hold()
    process = managed.process()
    with predictions(managed, 1) as pending:
        managed.server.wait_until(lambda: bool(model.ran), "a prediction")
        managed.server.send_signal(signal.SIGTERM, to_group=True)
        managed.wait_for("/readyz", 503, not_ready("worker not running"))
        assert managed.probe("/livez").body == ALIVE
        assert not pending.done()
        model.release()
    assert managed.server.wait() == 0
    assert has_ended(process)


@every_server
def test_an_error_server_is_alive_and_not_ready(start: StartServer, model: ControlledModel, server_type: str) -> None:
    (model.path / "custom.py").write_text("raise ValueError('broken')\n")
    managed = ManagedServer(start, server_type, ready="/livez", arguments=["--with-error-server"])
    managed.wait_for("/readyz", 503, not_ready("model failed to load"))
    assert managed.probe("/livez").body == ALIVE
    managed.server.stop()


@every_server
def test_the_process_ends_with_a_server_whose_model_fails_to_load(
    start: StartServer, model: ControlledModel, server_type: str
) -> None:
    (model.path / "custom.py").write_text("raise ValueError('broken')\n")
    managed = ManagedServer(start, server_type, ready=None)
    assert managed.server.wait(60) != 0
    with pytest.raises(ConnectionRefusedError):
        managed.probe("/livez")


@every_setup
def test_the_process_ends_with_a_server_that_is_killed(start: StartServer, server_type: str, workers: int) -> None:
    managed = ManagedServer(start, server_type, WORKERS=workers)
    process = managed.process()
    managed.server.process.kill()
    managed.server.wait()
    assert has_ended(process)


def _has_restarted(managed: ManagedServer, restarts: int) -> bool:
    return managed.server.log().count("it was restarted") == restarts


@every_setup
def test_a_process_that_ends_is_started_again(start: StartServer, server_type: str, workers: int) -> None:
    managed = ManagedServer(start, server_type, WORKERS=workers)
    managed.server.wait_until(lambda: managed.server.log().count("Model loaded") == workers, "all workers")
    managed.wait_for("/readyz", 200, READY)
    former = managed.process()
    for restarts in (1, 2):  # the second one ends right after its start
        former.kill()
        managed.server.wait_until(partial(_has_restarted, managed, restarts), "restart")
        managed.wait_for("/readyz", 200, READY)
        assert managed.process().pid != former.pid
        former = managed.process()
    managed.server.stop()


@pytest.mark.parametrize(
    ("server_type", "parameters"), [("gunicorn", {}), ("fastapi", {"FASTAPI_MAX_REQUESTS": 1_000_000})]
)
def test_a_server_whose_only_worker_was_killed_is_not_ready_until_the_replacement_is(
    start: StartServer, model: ControlledModel, server_type: str, parameters: dict[str, int]
) -> None:
    managed = ManagedServer(start, server_type, **parameters)
    managed.wait_for("/readyz", 200, READY)
    model.hold_gil_while_loading(3)
    (victim,) = managed.workers()
    victim.kill()
    managed.wait_for("/readyz", 503, not_ready("model is loading"))
    assert managed.probe("/livez").body == ALIVE
    managed.wait_for("/readyz", 200, READY)
    managed.server.stop()


def test_workers_of_a_reloaded_gunicorn_report_too(start: StartServer) -> None:
    managed = ManagedServer(start, "gunicorn")
    managed.wait_for("/readyz", 200, READY)
    (former,) = managed.workers()
    managed.server.send_signal(signal.SIGHUP)
    managed.server.wait_until(lambda: has_ended(former), "the end of the former worker")
    managed.wait_for("/readyz", 200, READY)
    managed.server.stop()


@pytest.mark.parametrize("server_type", ["gunicorn", "fastapi"])
@pytest.mark.parametrize("leaves_thread", [False, True], ids=["shared", "not-shareable"])
def test_workers_with_a_shared_model_report_too(
    start: StartServer, model: ControlledModel, server_type: str, leaves_thread: bool
) -> None:
    if leaves_thread:
        with (model.path / "custom.py").open("a") as code:
            code.write("import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n")
    managed = ManagedServer(start, server_type, WORKERS=2, SHARE_MODEL=1)
    managed.wait_for("/readyz", 200, READY)
    assert ("is not shared" in managed.server.log()) == leaves_thread
    assert asyncio.run(request_once(managed.server.port, post(rows(7)))).prediction == 7
    managed.server.stop()


@every_server
def test_a_taken_port_ends_the_start(start: StartServer, server_type: str) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        port = other.getsockname()[1]
        server = start(server_type, MANAGEMENT_PORT=port, ready=None)
        assert server.wait(60) == 1
    assert f"Cannot listen on 127.0.0.1:{port}: the port is in use by another process." in server.log()
    assert "Traceback" not in server.log()


def test_the_port_of_the_server_itself_is_refused(start: StartServer) -> None:
    command = ["sh", "-c", 'DRUM_MANAGEMENT_PORT={port} exec "$@"', "sh"]
    command += [sys.executable, "-m", "datarobot_drum", "server", "--address", "127.0.0.1:{port}"]
    server = start("fastapi", command=command, ready=None)
    assert server.wait(60) == 1
    assert f"DRUM_MANAGEMENT_PORT={server.port} is the port of --address" in server.log()


@pytest.mark.parametrize("value", ["0", ""])
@every_server
def test_without_a_port_there_is_no_process(start: StartServer, server_type: str, value: str) -> None:
    server = start(server_type, MANAGEMENT_PORT=value)
    children = psutil.Process(server.process.pid).children(recursive=True)
    assert not [child for child in children if PROCESS in child.cmdline()]
