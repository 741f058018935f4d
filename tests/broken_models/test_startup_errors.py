"""Startup errors of broken model folders, equal in the terminal and from an error server."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.main import report
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import build_settings
from tests.broken_models.folders import FOLDERS, BrokenModel
from tests.cases import each_case
from tests.cli.commands import drum
from tests.processes import free_port
from tests.root_predictors.in_process import ask

BY_NAME = {broken.name: broken for broken in FOLDERS}

pytestmark = [
    pytest.mark.usefixtures("clean_environment"),
    pytest.mark.filterwarnings("ignore:Trying to unpickle"),
]


@contextmanager
def serving(broken: BrokenModel, folder: Path, *, error_server: bool) -> Iterator[PredictionServer]:
    arguments = Arguments(
        code_dir=str(folder),
        target_type=broken.target_type,
        address=":8080",
        with_error_server=error_server,
        **broken.arguments,
    )
    server = PredictionServer(build_settings(arguments))
    try:
        server.materialize()
        yield server
    finally:
        server.close()


def test_broken_model_names_are_unique_and_at_least_twenty() -> None:
    assert len(BY_NAME) == len(FOLDERS) >= 20


@each_case("broken", FOLDERS, ids=list(BY_NAME))
def test_terminal_and_error_server_show_the_same_line_but_clients_no_paths(
    broken: BrokenModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = broken.write(tmp_path)
    with pytest.raises(StartupError) as failed, serving(broken, folder, error_server=False):
        pytest.fail("The model must not load.")
    report(failed.value, with_traceback=False)
    assert capsys.readouterr().err == f"drum: error: {broken.error_line(folder)}\n"
    assert failed.value.exit_code == broken.exit_code

    with serving(broken, folder, error_server=True) as server:
        responses = [ask(server, "GET", "/health/"), ask(server, "POST", "/predict/", content=b"a\n1\n")]
    line = re.sub(r"/(?:[\w.-]+/)+([\w.-]+)", r"\1", broken.error_line(folder))
    expected = (513, {"message": f"ERROR: {line}"})
    assert [(response.status_code, response.json()) for response in responses] == [expected] * 2


@pytest.mark.process
@pytest.mark.parametrize(
    ("server_type", "name"),
    [("flask", "malformed type schema"), ("fastapi", "wrong return type")],
)
def test_server_process_exits_with_that_line(server_type: str, name: str, tmp_path: Path) -> None:
    broken = BY_NAME[name]
    folder = broken.write(tmp_path)
    arguments = [
        "--code-dir",
        str(folder),
        "--target-type",
        broken.target_type,
        "--address",
        f"127.0.0.1:{free_port()}",
    ]
    run = drum("server", *arguments, environment={"DRUM_SERVER_TYPE": server_type})
    assert run.stderr.splitlines()[-1] == f"drum: error: {broken.error_line(folder)}"
    assert run.returncode == broken.exit_code
