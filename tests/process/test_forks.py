"""Forks by model code: default signals in the child, which never goes on as a server. Each on all three servers."""

import socket
from collections.abc import Iterator

import pytest

from tests.cases import each_case
from tests.process.hook_servers import Servers, call_function, serve_functions
from tests.processes import RunningServer

pytestmark = pytest.mark.process

CODE = '''
import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys
import time

FORK = multiprocessing.get_context("fork")


def load_model(code_dir):
    signal.signal(signal.SIGUSR2, own_handler)
    return "model"


def own_handler(number, frame):
    """The model's own handler, which its forks keep."""


def sleep():
    time.sleep(60)


def terminate_process(model):
    process = FORK.Process(target=sleep)
    process.start()
    process.terminate()
    process.join()
    return process.exitcode


def terminate_pool(model):
    pool = FORK.Pool(2)
    pool.apply_async(sleep)
    pool.terminate()
    pool.join()
    return "ended"


def interrupt_program(model):
    program = subprocess.Popen([sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT))"],
                               stdout=subprocess.PIPE, text=True)
    return program.communicate()[0].strip().partition("at")[0]


def end(work):
    """Return how a fork ends that does `work`: its exit code, or the negative number of a signal."""
    child = os.fork()
    if child == 0:
        work()
        return "a second server responds"
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def leave_hook(model):
    return end(lambda: None)


def exit_in_hook(model):
    return end(lambda: sys.exit(3))


def exit_with_text(model):
    return end(lambda: sys.exit("text"))


def raise_in_hook(model):
    return end(lambda: 1 / 0)


def kill_forks(model):
    codes = []
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGABRT):
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        os.kill(child, number)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return codes


def handlers_in_fork(model):
    """Return the names of Python handlers in a fork, and its wakeup descriptor."""
    read, write = os.pipe()
    if os.fork() == 0:
        handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        names = [signal.Signals(number).name for number, handler in handlers.items() if callable(handler)]
        os.write(write, repr((sorted(names), signal.set_wakeup_fd(-1))).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        text = file.read()
    os.wait()
    return text


def start_fork(model):
    FORK.Process(target=sleep).start()


def set_handler_in_fork(model):
    def work():
        signal.signal(signal.SIGTERM, lambda *_: os._exit(5))
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    return end(work)
'''


REQUEST = (
    b"POST /predictUnstructured/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 10\r\n\r\nstart_fork"
)

TIMEOUT = 20.0
"""Less than a fork of these tests runs."""


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with serve_functions(tmp_path_factory.mktemp("forks"), CODE) as servers:
        yield servers


@each_case(
    ("function", "result"),
    [
        ("terminate_process", "-15"),
        ("terminate_pool", "'ended'"),
        ("interrupt_program", "'<built-in function default_int_handler>'"),
        ("leave_hook", "0"),
        ("exit_in_hook", "3"),
        ("exit_with_text", "1"),
        ("raise_in_hook", "1"),
        ("kill_forks", "[-15, -1, -3, -10, -6]"),
        ("handlers_in_fork", "\"(['SIGINT', 'SIGUSR2'], -1)\""),
        ("set_handler_in_fork", "5"),
    ],
)
def test_forks_of_a_hook_are_ordinary_processes(server: RunningServer, function: str, result: str) -> None:
    assert call_function(server, function) == result
    assert call_function(server, function) == result


def test_a_fork_holds_no_connection_open(server: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as connection:
        connection.sendall(REQUEST)
        with connection.makefile("rb") as response:
            assert response.read().endswith(b"None")  # to its end: the server's close has reached the client
