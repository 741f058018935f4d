"""``drum server --reload`` before it watches, which files it watches, and ``drum server --open``."""

import os
import socket
import sys
from pathlib import Path

import pytest

from datarobot_drum.drum.commands.development.reloader import Reloader, serve_with_reload
from datarobot_drum.drum.exceptions import StartupError, UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from tests.cases import each_case
from tests.cli.commands import FASTAPI, FLASK, GUNICORN, Setup, write_model
from tests.processes import RunningServer

REGRESSION = ("--target-type", "regression")


def _arguments(folder: Path, address: str = "127.0.0.1:0") -> Arguments:
    return Arguments(code_dir=str(folder), address=address, target_type="regression")


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(StartupError, match=r"pip install 'datarobot-drum\[reload\]'"):
        serve_with_reload(_arguments(tmp_path))


@pytest.mark.usefixtures("clean_environment")
def test_what_no_change_of_the_folder_can_mend_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        serve_with_reload(_arguments(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"The folder .*is missing"):
        serve_with_reload(Arguments(address=":0"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(StartupError, match="in use"):
            serve_with_reload(_arguments(tmp_path, f"127.0.0.1:{taken.getsockname()[1]}"))
    monkeypatch.setenv("DRUM_RATE_LIMIT", "often")
    with pytest.raises(StartupError, match="DRUM_RATE_LIMIT"):
        serve_with_reload(_arguments(tmp_path))


@each_case(
    "path, is_watched",
    [
        ("custom.py", True),
        ("model.pkl", True),
        ("model-metadata.yaml", True),
        ("package/module.py", True),
        ("weights", True),
        ("__pycache__/custom.cpython-311.pyc", False),
        ("package/__pycache__/x", False),
        (".compiled_model.json", False),
        (".compiled_model.json1x2y", False),
        (".git/index", False),
        ("custom.py~", False),
        ("custom.py.swp", False),
        ("run.log", False),
    ],
)
def test_files_that_the_server_or_an_editor_writes_are_not_watched(tmp_path: Path, path: str, is_watched: bool) -> None:
    folder = tmp_path / ".hidden" / "node_modules"  # only names below the model folder count
    folder.mkdir(parents=True)
    assert Reloader(_arguments(folder), folder)._is_watched(1, str(folder / path)) is is_watched


BROWSER = """#!/bin/sh
echo "$1" >> {opened}
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("setup", "variables", "page"),
    [(FASTAPI, {}, "/playground"), (GUNICORN, {"URL_PREFIX": "/m", "DRUM_ENABLE_DOCS": "0"}, "/m/")],
    ids=["playground", "no-docs"],
)
def test_open_shows_the_page_once_the_server_is_ready(
    tmp_path: Path, setup: Setup, variables: dict[str, str], page: str
) -> None:
    opened, browser, hold = tmp_path / "opened", tmp_path / "browser", tmp_path / "hold-load"
    browser.write_text(BROWSER.format(opened=opened), encoding="utf-8")
    browser.chmod(0o700)
    hold.touch()
    environment = {**setup.environment, **variables, "BROWSER": f"{browser} %s"}
    words = ("-cd", write_model(tmp_path), *REGRESSION, "--open")
    server = RunningServer(*words, log=tmp_path / "log", environment=environment, ready=None)
    with server:
        server.wait_until((tmp_path / "loading").exists, "load")
        assert not opened.exists()
        hold.unlink()
        server.wait_until(lambda: opened.exists() and opened.read_text().endswith("\n"), "page")
        assert opened.read_text(encoding="utf-8").split() == [f"http://127.0.0.1:{server.port}{page}"]
        server.wait_until(lambda: "Opened http" in server.log(), "log line")
        assert ("DRUM_ENABLE_DOCS" in server.log()) is (page != "/playground")


@pytest.mark.process
def test_open_without_a_browser_logs_the_page(tmp_path: Path) -> None:
    headless = dict.fromkeys(("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"), "")
    words = ("-cd", write_model(tmp_path), *REGRESSION, "--open")
    with RunningServer(*words, log=tmp_path / "log", environment={**FLASK.environment, **headless}) as server:
        assert (
            f"There is no browser here for --open. The page is http://127.0.0.1:{server.port}/playground."
            in server.log()
        )


@pytest.mark.process
def test_open_ends_with_a_server_that_never_gets_ready(tmp_path: Path) -> None:
    words = ("-cd", write_model(tmp_path, "raise ValueError('no weights')\n"), *REGRESSION, "--open")
    environment = {**FASTAPI.environment, "BROWSER": os.devnull}
    server = RunningServer(*words, log=tmp_path / "log", environment=environment, ready=None).start()
    try:
        assert server.wait() == 1  # of all its processes
    finally:
        server.kill()
