"""The watchdog over real servers whose model holds the interpreter, so nothing inside the process can run."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from datarobot_drum.drum.management.watchdog.watchdog import EXIT_CODE
from tests.cli.commands import FASTAPI, FASTAPI_2, FLASK, GUNICORN, Setup, write_model
from tests.processes import RunningServer, has_ended

pytestmark = pytest.mark.process

HOLDING = '''
"""Has a child process, and holds the interpreter from the moment on when there is a file `hold`."""

import ctypes
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd


def load_model(code_dir):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    threading.Thread(target=hold, args=(Path(code_dir).parent / "hold",), daemon=True).start()
    return child


def hold(wish):
    library = ctypes.PyDLL(None)  # its functions keep the interpreter, other than those of CDLL
    while not wish.exists():
        time.sleep(0.01)
    while True:
        library.sleep(600)


def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": [1.0] * len(data)})
'''

ENVIRONMENT = {
    "USE_NIM_WATCHDOG": "true",
    "DRUM_WATCHDOG_ATTEMPTS": "2",
    "DRUM_WATCHDOG_TIMEOUT": "1.5",
    "DRUM_LAME_DUCK_SECONDS": "0",
    "DRUM_GRACEFUL_TIMEOUT": "2",
}
AS_FIRST_PROCESS = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
PATIENCE = 90.0


def _server(model: Path, setup: Setup, prefix: Sequence[str] = ()) -> RunningServer:
    drum = [sys.executable, "-m", "datarobot_drum", "server", "--address", "127.0.0.1:{port}"]
    words = ("--code-dir", model, "--target-type", "regression")
    environment = {**setup.environment, **ENVIRONMENT}
    return RunningServer(*words, log=model.parent / "log", command=[*prefix, *drum], environment=environment)


def _hang(server: RunningServer, folder: Path) -> None:
    server.wait_until(lambda: "Watching http" in server.log(), "watchdog")
    (folder / "hold").touch()


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this test that looks like a server's."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "-m", "datarobot_drum", "server"])
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("setup", [GUNICORN, FASTAPI, FASTAPI_2], ids=str)
def test_a_server_whose_model_holds_the_interpreter_is_ended_and_no_other_process(
    tmp_path: Path, setup: Setup, bystander: subprocess.Popen[bytes]
) -> None:
    with _server(write_model(tmp_path, HOLDING), setup) as server:
        tree = psutil.Process(server.process.pid).children(recursive=True)
        assert len(tree) > setup.workers
        _hang(server, tmp_path)
        assert server.wait(PATIENCE) != 0
        assert "The server has failed 2 times in a row (no answer from http://127.0.0.1:" in server.log()
        server.wait_until(lambda: all(map(has_ended, tree)), "the end of its processes")
    assert bystander.poll() is None


@pytest.mark.parametrize("setup", [FLASK, GUNICORN, FASTAPI, FASTAPI_2], ids=str)
def test_a_watched_server_stops_as_cleanly_as_any_other(tmp_path: Path, setup: Setup) -> None:
    with _server(write_model(tmp_path), setup) as server:
        server.stop()
    assert "Traceback" not in server.log()


def _can_be_first() -> bool:
    if not shutil.which(AS_FIRST_PROCESS[0]):
        return False
    return subprocess.run([*AS_FIRST_PROCESS, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _can_be_first(), reason="needs the right to make a namespace of processes")
@pytest.mark.parametrize("setup", [FLASK, FASTAPI, FASTAPI_2], ids=str)
def test_hung_first_process_of_a_container_exits(tmp_path: Path, setup: Setup) -> None:
    with _server(write_model(tmp_path, HOLDING), setup, AS_FIRST_PROCESS) as server:
        _hang(server, tmp_path)
        # Process 1 passes the end of the server on: by SIGKILL, if the server is one process that cannot end itself.
        assert server.wait(PATIENCE) in (EXIT_CODE, 128 + signal.SIGKILL)
