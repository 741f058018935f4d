"""``make`` with a foreground job: signals and exit codes."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

FOREGROUND = Path(__file__).parents[2] / ".ci" / "foreground.py"

SERVER = """
import os, signal, sys, time
def stop(number, frame):
    print("stopped by", number, flush=True)
    sys.exit(0)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, stop)
print(os.getpid(), "is ready", flush=True)
time.sleep(60)
"""

pytestmark = pytest.mark.process


class Terminal:
    """A command with its own controlling terminal."""

    def __init__(self, command: list[str]) -> None:
        self._master, self._slave = os.openpty()
        # The first terminal that the leader of a new session opens becomes its controlling terminal.
        opener = ["sh", "-c", 'name=$1; shift; exec <>"$name" >&0 2>&0 "$@"', "sh", os.ttyname(self._slave)]
        # The tests may run under make themselves.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        self.process = subprocess.Popen([*opener, *command], start_new_session=True, env=environment)
        self.output = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 20
        while text not in self.output:
            ready, _, _ = select.select([self._master], [], [], deadline - time.monotonic())
            assert ready, f"{text!r} did not appear: {self.output!r}"
            self.output += os.read(self._master, 4096).decode()

    def close(self) -> None:
        os.close(self._slave)
        os.close(self._master)  # hangs up: foreground processes get SIGHUP
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def makefile(tmp_path: Path) -> Path:
    (tmp_path / "server.py").write_text(SERVER)
    path = tmp_path / "Makefile"
    server = f'"{sys.executable}" "{tmp_path}/server.py"'
    path.write_text(f'serve:\n\t@exec "{sys.executable}" "{FOREGROUND}" {server}\n')
    return path


@pytest.fixture
def terminal(makefile: Path) -> Iterator[Terminal]:
    with closing(Terminal(["make", "-f", str(makefile), "serve"])) as terminal:
        terminal.wait_for("is ready")
        yield terminal


def test_ctrl_c_stops_the_command_and_make_succeeds(terminal: Terminal) -> None:
    terminal.type("\x03")
    terminal.wait_for("stopped by 2")
    assert terminal.process.wait(timeout=20) == 0
    assert "make" not in terminal.output


def test_terminated_make_terminates_the_command(terminal: Terminal) -> None:
    terminal.process.terminate()
    terminal.wait_for("stopped by 15")
    assert terminal.process.wait(timeout=20) == -15  # GNU make re-raises the signal


def test_terminated_command_lets_make_succeed(terminal: Terminal) -> None:
    os.kill(int(terminal.output.split()[0]), 15)
    assert terminal.process.wait(timeout=20) == 0


def test_exit_code_is_that_of_the_command() -> None:
    with closing(Terminal([sys.executable, str(FOREGROUND), "sh", "-c", "exit 3"])) as terminal:
        assert terminal.process.wait(timeout=20) == 3


def test_killed_command_exits_with_128_plus_signal() -> None:
    with closing(Terminal([sys.executable, str(FOREGROUND), "sh", "-c", "kill -9 $$"])) as terminal:
        assert terminal.process.wait(timeout=20) == 137


def test_command_replaces_the_process_without_a_terminal() -> None:
    command = [sys.executable, str(FOREGROUND), "sh", "-c", "echo $$; exit 4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        output, _ = process.communicate(timeout=20)
    assert (int(output), process.returncode) == (process.pid, 4)


def test_missing_command_is_a_usage_error() -> None:
    done = subprocess.run([sys.executable, FOREGROUND], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: foreground.py COMMAND [ARGUMENT ...]\n")
