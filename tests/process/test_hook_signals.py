"""``signal.signal`` in hooks: the same result on all servers, and a server that still stops."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.cases import each_case
from tests.process.hook_servers import Servers, call_function, serve_functions
from tests.processes import RunningServer

pytestmark = pytest.mark.process

CODE = """
import os
import signal
import threading

calls = []
called = threading.Event()


def handler(number, frame):
    calls.append(signal.Signals(number).name)
    called.set()


signal.signal(signal.SIGUSR1, handler)


def init(code_dir):
    signal.signal(signal.SIGUSR2, handler)


def load_model(code_dir):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, handler)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return "model"


def send(number):
    called.clear()
    os.kill(os.getpid(), number)
    return called.wait(10), calls[-1]


def send_all(model):
    return [send(number) for number in (signal.SIGUSR1, signal.SIGUSR2)]


def set_in_request(model):
    previous = signal.signal(signal.SIGCONT, handler)
    return previous, send(signal.SIGCONT), signal.signal(signal.SIGCONT, signal.SIG_DFL) is handler


def override_stop(model):
    return signal.signal(signal.SIGTERM, handler) is not handler, signal.getsignal(signal.SIGTERM) is not handler


def set_wrong_number(model):
    try:
        signal.signal(1000, handler)
    except ValueError as error:
        return str(error)
"""


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that stop with 0 at SIGTERM, whatever the model has set."""
    with serve_functions(tmp_path_factory.mktemp("signals"), CODE) as servers:
        yield servers


@each_case(
    ("function", "result"),
    [
        ("send_all", "[(True, 'SIGUSR1'), (True, 'SIGUSR2')]"),
        ("set_in_request", "(<Handlers.SIG_DFL: 0>, (True, 'SIGCONT'), True)"),
        ("override_stop", "(True, True)"),
        ("set_wrong_number", "'signal number out of range'"),
    ],
)
def test_handlers_of_hooks_are_installed(server: RunningServer, function: str, result: str) -> None:
    assert call_function(server, function) == result


def test_handlers_that_stop_the_server_are_logged(server: RunningServer) -> None:
    for name in ("SIGTERM", "SIGINT", "SIGQUIT"):
        assert f"A handler of {name} in model code is not installed" in server.log()


FAILING = """
import signal


def load_model(code_dir):
    signal.signal(signal.SIGUSR1, fail)
    return "model"


def fail(number, frame):
    raise RuntimeError("from the handler")


def get_pid(model):
    import os
    return os.getpid()
"""


@pytest.mark.parametrize("server_type", ["flask", "fastapi"])
def test_a_failing_handler_is_logged_and_the_server_goes_on(
    tmp_path_factory: pytest.TempPathFactory, server_type: str
) -> None:
    with serve_functions(tmp_path_factory.mktemp("failing"), FAILING) as servers:
        server = servers[server_type]
        os.kill(int(call_function(server, "get_pid")), signal.SIGUSR1)
        server.wait_until(lambda: "The model's handler of SIGUSR1 failed" in server.log(), "log line")
        assert call_function(server, "get_pid")
