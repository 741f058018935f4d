"""When the watchdog fires and when it does not, over a small server that answers as a test says."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from datarobot_drum.drum.management.watchdog.watchdog import EXIT_CODE, health_url
from tests.cases import each_case
from tests.processes import RunningServer, has_ended

pytestmark = pytest.mark.process

PROGRAM = str(Path(__file__).with_name("watched_server.py"))
ATTEMPTS = 3
ENVIRONMENT = {
    "USE_NIM_WATCHDOG": "true",
    "DRUM_WATCHDOG_ATTEMPTS": str(ATTEMPTS),
    "DRUM_WATCHDOG_TIMEOUT": "0.5",
    "DRUM_GRACEFUL_TIMEOUT": "2",
    "URL_PREFIX": "/a/b",
    "TARGET_TYPE": "regression",
}


class WatchedServer(RunningServer):
    """The small server in a folder; ``status`` is what it answers from now on."""

    def __init__(self, folder: Path, **variables: str) -> None:
        command = ["env", "ADDRESS=127.0.0.1:{port}", sys.executable, PROGRAM, str(folder)]
        environment = {**ENVIRONMENT, "CODE_DIR": str(folder), **variables}
        super().__init__(log=folder / "log", command=command, environment=environment, ready=None)
        self.folder = folder

    def answer(self, status: str) -> None:
        unfinished = self.folder / "status.new"
        unfinished.write_text(status, encoding="utf-8")
        unfinished.rename(self.folder / "status")

    def wait_asked(self, times: int) -> None:
        """Wait until the watchdog has asked so often from now on."""
        goal = self._asked + times
        self.wait_until(lambda: self._asked >= goal, "watchdog")

    @property
    def _asked(self) -> int:
        asked = self.folder / "asked"
        return len(asked.read_text(encoding="utf-8").splitlines()) if asked.exists() else 0

    def watchdog(self) -> psutil.Process:
        children = psutil.Process(self.process.pid).children()
        (found,) = [child for child in children if "datarobot_drum.drum.management.watchdog.process" in child.cmdline()]
        return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WatchedServer]:
    """A server that has been seen healthy."""
    running = WatchedServer(tmp_path)
    running.answer("200")
    try:
        running.start()
        running.wait_asked(1)
        yield running
    finally:
        running.kill()


@pytest.mark.parametrize("failure", ["hang", "500", "503", "513"])
def test_the_last_failed_attempt_ends_the_server_and_its_children(server: WatchedServer, failure: str) -> None:
    server.answer(failure)
    assert server.wait() == EXIT_CODE
    log = server.log()
    assert [f"Attempt {number} of {ATTEMPTS} failed" in log for number in range(1, ATTEMPTS + 2)] == [True] * 3 + [
        False
    ]
    reason = "no answer from" if failure == "hang" else f"answered {failure}"
    assert f"The server has failed {ATTEMPTS} times in a row (" in log and reason in log
    assert "Traceback" not in log


def test_health_below_the_prefix_is_what_is_asked(server: WatchedServer) -> None:
    assert set((server.folder / "asked").read_text(encoding="utf-8").splitlines()) == {"/a/b/health/"}


def test_no_process_of_others_is_touched(server: WatchedServer, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    bystander = subprocess.Popen([sys.executable, "-c", "input()", "drum", "server"], stdin=subprocess.PIPE)
    other = WatchedServer(tmp_path / "other")
    other.answer("200")
    with other:
        other.wait_asked(1)
        server.answer("500")
        assert server.wait() == EXIT_CODE
        assert bystander.poll() is None
        other.wait_asked(1)
        other.stop()
    bystander.communicate(b"\n", timeout=60)
    assert bystander.returncode == 0


@each_case("status", ["503", "513", "500"])
def test_nothing_counts_before_the_first_200(tmp_path: Path, status: str) -> None:
    running = WatchedServer(tmp_path)
    running.answer(status)
    with running:
        running.wait_asked(ATTEMPTS + 2)
        running.answer("200")
        running.wait_asked(2)
        assert f"answered {status}" not in running.log()
        running.stop()


def _has_begun_to_fail(server: WatchedServer, times: int) -> bool:
    return server.log().count("Attempt 1 of") == times


@pytest.mark.parametrize("good", ["200", "204", "404"])
def test_a_good_answer_starts_the_count_anew(server: WatchedServer, good: str) -> None:
    for rounds in range(1, ATTEMPTS + 2):
        server.answer("500")
        server.wait_until(partial(_has_begun_to_fail, server, rounds), "failed attempt")
        server.answer(good)
        server.wait_asked(2)
    server.stop()


def test_a_server_that_drains_is_left_alone_and_rid_of_its_watchdog(server: WatchedServer) -> None:
    (server.folder / "hold-drain").touch()
    watchdog = server.watchdog()
    server.send_signal(signal.SIGTERM)
    server.wait_until((server.folder / "draining").exists, "drain")
    server.wait_until(lambda: has_ended(watchdog), "its end")
    (server.folder / "hold-drain").unlink()
    assert server.wait() == 0, server.log()
    assert "ending processes" not in server.log()


def test_a_server_that_does_not_end_by_itself_is_killed(server: WatchedServer) -> None:
    server.send_signal(signal.SIGSTOP)
    assert server.wait(60) == -signal.SIGKILL


def test_the_watchdog_ends_with_a_server_that_is_killed(server: WatchedServer) -> None:
    watchdog = server.watchdog()
    server.send_signal(signal.SIGKILL)
    assert server.process.wait(60) == -signal.SIGKILL
    watchdog.wait(60)


def test_a_terminals_signals_are_for_the_server_alone(server: WatchedServer) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        server.watchdog().send_signal(number)
    server.wait_asked(2)
    server.stop()


def test_without_the_parameter_there_is_no_watchdog(tmp_path: Path) -> None:
    running = WatchedServer(tmp_path, USE_NIM_WATCHDOG="false")
    running.answer("200")
    with running:
        running.wait_until((tmp_path / "child").exists, "start")
        assert len(psutil.Process(running.process.pid).children()) == 1
        running.stop()


@each_case(
    ("host", "expected"),
    [
        ("0.0.0.0", "http://127.0.0.1:80/x/health/"),
        ("::", "http://[::1]:80/x/health/"),
        ("10.1.2.3", "http://10.1.2.3:80/x/health/"),
        ("fe80::1", "http://[fe80::1]:80/x/health/"),
        ("localhost", "http://localhost:80/x/health/"),
    ],
)
def test_the_server_is_asked_where_it_listens(host: str, expected: str) -> None:
    assert health_url(host, 80, "/x") == expected
