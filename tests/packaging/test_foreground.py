"""``make`` with a foreground job: who gets Ctrl-C, and which exit code is left."""

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
    """A command that has a terminal of its own."""

    def __init__(self, command: list[str]) -> None:
        self._master, self._slave = os.openpty()
        # The first terminal that the leader of a new session opens becomes its controlling terminal.
        opener = ["sh", "-c", 'name=$1; shift; exec <>"$name" >&0 2>&0 "$@"', "sh", os.ttyname(self._slave)]
        # A make that these tests may run under must not show in this one.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        self.process = subprocess.Popen([*opener, *command], start_new_session=True, env=environment)
        self.output = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 20
        while text not in self.output:
            ready, _, _ = select.select([self._master], [], [], deadline - time.monotonic())
            assert ready, f"{text!r} did not come: {self.output!r}"
            self.output += os.read(self._master, 4096).decode()

    def close(self) -> None:
        os.close(self._slave)
        os.close(self._master)  # hangs up: what is still in the terminal's foreground ends
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


def test_a_terminated_make_terminates_the_command(terminal: Terminal) -> None:
    terminal.process.terminate()
    terminal.wait_for("stopped by 15")
    assert terminal.process.wait(timeout=20) == -15  # GNU make ends itself by the signal it got


def test_a_terminated_command_lets_make_succeed(terminal: Terminal) -> None:
    os.kill(int(terminal.output.split()[0]), 15)
    assert terminal.process.wait(timeout=20) == 0


def test_the_exit_code_is_that_of_the_command() -> None:
    with closing(Terminal([sys.executable, str(FOREGROUND), "sh", "-c", "exit 3"])) as terminal:
        assert terminal.process.wait(timeout=20) == 3


def test_a_command_killed_by_a_signal_counts_from_128() -> None:
    with closing(Terminal([sys.executable, str(FOREGROUND), "sh", "-c", "kill -9 $$"])) as terminal:
        assert terminal.process.wait(timeout=20) == 137


def test_without_a_terminal_the_command_takes_the_process_over() -> None:
    command = [sys.executable, str(FOREGROUND), "sh", "-c", "echo $$; exit 4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        output, _ = process.communicate(timeout=20)
    assert (int(output), process.returncode) == (process.pid, 4)


def test_no_command_is_a_usage_error() -> None:
    done = subprocess.run([sys.executable, FOREGROUND], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: foreground.py COMMAND [ARGUMENT ...]\n")
