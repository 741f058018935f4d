"""The process of the management port by itself: its HTTP, its limits, and its end."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from datarobot_drum.drum.management.process import MAX_CONNECTIONS, MAX_HEADER_SIZE
from datarobot_drum.version import __version__
from tests.cases import each_case
from tests.management.management_client import request
from tests.processes import free_port, has_ended

pytestmark = pytest.mark.process

OWNER = """
import sys
from types import SimpleNamespace
from datarobot_drum.drum.management.management_process import ManagementProcess
from datarobot_drum.drum.management.status import WorkerState
from datarobot_drum.drum.settings.tracing import TracingSettings

server = SimpleNamespace(worker_timeout=60, request_timeout=0, management_port=int(sys.argv[1]),
                         log_format="text", has_metrics=False, slow_seconds=0)
settings = SimpleNamespace(host="127.0.0.1", server=server, logging_level="info", tracing=TracingSettings())
with ManagementProcess(settings).start() as management:
    management.table.allocate().claim().set_state(WorkerState.READY)
    for line in sys.stdin:
        management.restart_if_ended()
        print("checked", flush=True)
"""


class Owner:
    """A program that does nothing but own a management port."""

    def __init__(self) -> None:
        self.port = free_port()
        self._stack = ExitStack()
        self.process = self._stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", OWNER, str(self.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        )
        self.restart_if_ended()

    def restart_if_ended(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"checked\n"

    def child(self) -> psutil.Process:
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def connect(self) -> socket.socket:
        return self._stack.enter_context(socket.create_connection(("127.0.0.1", self.port), 30.0))

    def close(self) -> None:
        self.process.kill()
        self._stack.close()


@pytest.fixture(scope="module")
def owner() -> Iterator[Owner]:
    made = Owner()
    yield made
    made.close()


@pytest.fixture
def own_owner() -> Iterator[Owner]:
    made = Owner()
    yield made
    made.close()


def read_all(connection: socket.socket) -> bytes:
    """Read to the end of the connection, however it ends."""
    received = b""
    while True:
        try:
            data = connection.recv(4096)
        except ConnectionResetError:
            return received
        if not data:
            return received
        received += data


@each_case("path", ["/livez", "/livez/", "/livez?verbose", "/readyz", "/readyz/"])
def test_probes_answer_with_json_and_the_version(owner: Owner, path: str) -> None:
    response = request(owner.port, path)
    assert response.status == 200
    assert response.body == {"status": "alive" if "livez" in path else "ready"}
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Drum-Version"] == __version__
    assert "GMT" in response.headers["Date"]


def test_head_has_the_headers_alone(owner: Owner) -> None:
    response = request(owner.port, "/livez", "HEAD")
    assert (response.status, response.content) == (200, b"")
    assert response.headers["Content-Length"] == str(len(b'{"status":"alive"}'))


@each_case("path", ["/", "/metrics", "/predict/", "//livez", "/livez/x"])
def test_other_paths_answer_404(owner: Owner, path: str) -> None:
    response = request(owner.port, path)
    assert (response.status, response.body) == (404, {"message": f"ERROR: There is no route {path}."})


@each_case("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_answer_405(owner: Owner, method: str) -> None:
    response = request(owner.port, "/readyz", method)
    message = f"ERROR: {method} is not allowed here; use GET, HEAD."
    assert (response.status, response.body) == (405, {"message": message})
    assert response.headers["Allow"] == "GET, HEAD"


@each_case(
    "garbage",
    [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"GET /livez HTTP/2.0\r\n\r\n", b"get /livez HTTP/1.1\r\n\r\n"],
)
def test_what_is_not_http_answers_400(owner: Owner, garbage: bytes) -> None:
    connection = owner.connect()
    connection.sendall(garbage)
    assert read_all(connection).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_large_headers_answer_431(owner: Owner) -> None:
    connection = owner.connect()
    connection.sendall(b"GET /livez HTTP/1.1\r\nX: " + b"x" * MAX_HEADER_SIZE)
    assert read_all(connection).startswith(b"HTTP/1.1 431 ")


def test_a_request_in_pieces_is_answered(owner: Owner) -> None:
    connection = owner.connect()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n":
        connection.sendall(bytes([byte]))
    assert read_all(connection).endswith(b'{"status":"alive"}')


def test_a_client_that_sends_nothing_is_disconnected(owner: Owner) -> None:
    connection = owner.connect()
    assert read_all(connection) == b""


def test_idle_connections_keep_no_probe_waiting(own_owner: Owner) -> None:
    idle = [own_owner.connect() for _ in range(MAX_CONNECTIONS + 50)]
    assert request(own_owner.port, "/livez").status == 200
    assert own_owner.child().num_fds() < MAX_CONNECTIONS + 20
    assert read_all(idle[0]) == b""


@each_case("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP])
def test_signals_to_the_whole_group_do_not_end_it(owner: Owner, number: signal.Signals) -> None:
    owner.child().send_signal(number)
    assert request(owner.port, "/livez").status == 200


def test_it_ends_with_its_owner(own_owner: Owner) -> None:
    child = own_owner.child()
    own_owner.process.kill()
    while not has_ended(child):
        time.sleep(0.02)
    with pytest.raises(ConnectionRefusedError):
        own_owner.connect()


def test_it_ends_when_its_owner_closes_it(own_owner: Owner) -> None:
    child = own_owner.child()
    assert own_owner.process.stdin is not None
    own_owner.process.stdin.close()
    assert own_owner.process.wait(30) == 0
    assert has_ended(child)


def test_one_that_ends_right_after_its_start_is_started_again(own_owner: Owner) -> None:
    for _ in range(2):
        former = own_owner.child()
        former.kill()
        while psutil.Process(own_owner.process.pid).children() in ([], [former]):
            own_owner.restart_if_ended()
    assert request(own_owner.port, "/livez").status == 200


def test_it_imports_neither_web_frameworks_nor_numeric_libraries() -> None:
    code = "import sys, datarobot_drum.drum.management.process; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(run.stdout.split()) & {"numpy", "pandas", "fastapi", "flask", "uvicorn", "werkzeug", "httpx"}
