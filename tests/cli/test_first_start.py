"""The first start: few words on the command line, one message about what is missing, and a command that works."""

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from tests.cases import each_case
from tests.cli.commands import FASTAPI, GUNICORN, Setup, drum, write_model
from tests.processes import RunningServer, clean_environment

pytestmark = pytest.mark.process

EXAMPLE = "Try it from another terminal: "
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def _train(folder: Path) -> None:
    folder.mkdir()
    frame = pd.DataFrame({"age": [30.0, 40.0, 50.0], "it's high": [1, 2, 3]})
    model = DecisionTreeClassifier().fit(frame, ["no", "yes", "yes"])
    (folder / "model.pkl").write_bytes(pickle.dumps(model))


def _run_example(server: RunningServer, key: str = "") -> str:
    server.wait_until(lambda: EXAMPLE in server.log(), "example")
    command = next(line.partition(EXAMPLE)[2] for line in server.log().splitlines() if EXAMPLE in line)
    command = command.replace("YOUR_KEY", key)
    return subprocess.run(f"{command} -s -f", shell=True, check=True, capture_output=True, text=True, timeout=60).stdout


@needs_curl
@pytest.mark.parametrize("setup", [GUNICORN, FASTAPI], ids=str)
def test_a_folder_is_enough_and_the_logged_command_gets_predictions(tmp_path: Path, setup: Setup) -> None:
    _train(tmp_path / "model")
    words = ("model", "--server", setup.server_type)
    with RunningServer(*words, log=tmp_path / "log", folder=tmp_path, environment={"DRUM_SERVER_TYPE": ""}) as server:
        (line,) = (line for line in server.log().splitlines() if "Serving" in line)
        assert "(binary, as the model is a fitted DecisionTreeClassifier with the classes 'no', 'yes')" in line
        assert f"with {setup.server_type}," in line
        assert _run_example(server).startswith('{"predictions":[{"no":')


@needs_curl
def test_a_chat_model_logs_a_chat_with_its_key(tmp_path: Path) -> None:
    model = write_model(tmp_path, "def chat(params, model):\n    return 'Hello back'\n")
    environment = {"TARGET_NAME": "reply", "DRUM_API_KEYS": "0123456789abcdef", "URL_PREFIX": "/a"}
    words = (model, "--target-type", "textgeneration", "--server", "fastapi")
    with RunningServer(*words, log=tmp_path / "log", environment=environment, prefix="/a") as server:
        assert "Hello back" in _run_example(server, key="0123456789abcdef")


def test_everything_that_is_missing_is_in_one_message(tmp_path: Path) -> None:
    model = write_model(tmp_path, "def scor(data, model):\n    return data\n")
    (model / "model-metadata.yaml").write_text("targettype: regression\n", encoding="utf-8")
    process = drum("server", model, "--address", "nowhere", environment={"DRUM_WORKER_TIMEOUT": "soon"})
    assert process.returncode == 2
    heading, *lines = process.stderr[process.stderr.index("drum: error:") :].splitlines()
    assert heading == "drum: error: 3 settings are missing or wrong:"
    assert [line[:4] for line in lines] == ["  - "] * 3
    assert "'nowhere'" in lines[0] and "DRUM_WORKER_TIMEOUT" in lines[2]
    assert "custom.py defines scor" in lines[1] and "did you mean score?" in lines[1]
    assert "targettype in model-metadata.yaml has no effect" in lines[1]


def test_settings_without_effect_are_warned_of(tmp_path: Path) -> None:
    model = write_model(
        tmp_path, "def scored(data, model):\n    return data\ndef score(data, model):\n    return data\n"
    )
    (model / "model-metadata.yaml").write_text("runtimeParameters: []\n", encoding="utf-8")
    environment = {"DRUM_SERVER_TYPE": "fastap", "DRUM_GUNICORN_THREADS": "2", "DEPLOYMENT_ID": "1"}
    words = (model, "--target-type", "regression")
    with RunningServer(*words, log=tmp_path / "log", environment=environment) as server:
        warnings = [line for line in server.log().splitlines() if " WARNING " in line]
        assert f"{EXAMPLE}curl " in server.log()
    expected = ("(did you mean fastapi?)", "DRUM_GUNICORN_THREADS", "DEPLOYMENT_ID", "runtimeParameters")
    assert all(any(text in line for line in warnings) for text in expected), warnings
    assert not any("scored" in line for line in warnings)  # score is there


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@each_case(
    ("line", "expected"),
    [
        ("drum s", "server serve score"),
        ("drum server --ad", "--address "),
        ("drum server --server ", "flask gunicorn fastapi werkzeug uvicorn"),
        ("drum completion ", "bash zsh fish"),
    ],
)
def test_bash_completes_words(tmp_path: Path, line: str, expected: str) -> None:
    pytest.importorskip("argcomplete")
    script = f"""
        eval "$(drum completion bash)"
        function_name=$(complete -p drum | sed -n 's/.*-F \\([^ ]*\\).*/\\1/p')
        COMP_LINE='{line}' COMP_POINT={len(line)} COMP_TYPE=9 COMPREPLY=()
        $function_name drum
        printf %s "${{COMPREPLY[*]}}"
    """
    assert _run_in_shell(tmp_path, "bash", "-c", script) == expected


@pytest.mark.parametrize(
    ("shell", "script", "expected"),
    [
        # zsh completes at a prompt only: this shows that its script loads and registers the function for drum.
        ("zsh", 'autoload -Uz compinit; compinit -u; eval "$(drum completion zsh)"; print $_comps[drum]', "_python_"),
        ("fish", "drum completion fish | source; complete -C 'drum val'", "validation\t"),
    ],
    ids=["zsh", "fish"],
)
def test_other_shells_load_their_scripts(tmp_path: Path, shell: str, script: str, expected: str) -> None:
    pytest.importorskip("argcomplete")
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert _run_in_shell(tmp_path, shell, "-c", script).startswith(expected)


def _run_in_shell(folder: Path, *command: str) -> str:
    environment = clean_environment() | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(folder)}
    run = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout
