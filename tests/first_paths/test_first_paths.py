"""The five paths of ``docs/start/first-paths.md``, typed as they stand there, to the first prediction of each."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.processes import RunningServer, clean_environment, free_port

pytestmark = [pytest.mark.process, pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "start" / "first-paths.md").read_text(encoding="utf-8")
TRAINED, CODE, CHAT, MLFLOW, CONTAINER = "A trained model", "Your own code", "A chat", "From MLflow", "In a container"
MAX_SECONDS = 180
_SERVERS = ("drum server", "docker run")

_BLOCK = re.compile(r"^(?P<mark><!-- [^\n]+ -->)\n```(?P<kind>\w+)\n(?P<text>.+?)^```$", re.M | re.S)


def _blocks(title: str) -> Iterator[tuple[str, str]]:
    """Yield kind and text of the blocks of a section that are run."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return ((found["kind"], found["text"]) for found in _BLOCK.finditer(section) if "run by:" in found["mark"])


class Reader:
    """Types the blocks of a section in a folder.

    Args:
        environment: of commands; the address is that of a free port, as another server may run on this machine.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self.output = ""

    def type_section(self, title: str) -> float:
        """Run the blocks; return the seconds to the response of the last one, without those of other commands."""
        blocks = list(_blocks(title))
        start = next(
            number for number, (_, text) in enumerate(blocks) if text.startswith(("drum server", "docker run"))
        )
        for kind, text in blocks[:start]:
            self.write(text) if kind != "sh" else self.run(text)
        begin = time.monotonic()
        with self._server(blocks[start][1]) as server:
            for _, text in blocks[start + 1 :]:
                self.output = self.run(text.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}"))
        return time.monotonic() - begin

    def write(self, text: str) -> None:
        name, _, content = text.removeprefix("# ").partition("\n")
        (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self._folder / name).write_text(content, encoding="utf-8")

    def run(self, text: str) -> str:
        run = subprocess.run(
            ["bash", "-ec", text.replace("curl ", "curl -s --fail-with-body ")],
            cwd=self._folder,
            env=self._environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=MAX_SECONDS,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def _server(self, text: str) -> RunningServer:
        variables = {"ADDRESS": "127.0.0.1:{port}"}
        if text.startswith("docker"):
            variables |= {**_image_variables(), "CODE_DIR": str(self._folder / "my-model")}
            words = _image_command()
        else:
            words = text.split()
        command = [sys.executable, "-m", "datarobot_drum", *words[1:]]
        return RunningServer(log=self._folder / "log", folder=self._folder, environment=variables, command=command)


def _image_command() -> list[str]:
    """Return what the image runs."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    return [
        word for name in ("ENTRYPOINT", "CMD") for word in json.loads(re.findall(rf"^{name} (.+)$", text, re.M)[-1])
    ]


def _image_variables() -> dict[str, str]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    found = dict(re.findall(r"\b(DRUM_\w+)=(\S+)", text.partition("\nENV ")[2]))
    assert found["DRUM_SERVER_TYPE"] == "fastapi"
    return found | {"DRUM_MANAGEMENT_PORT": str(free_port())}


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").symlink_to(sys.executable)
    environment = clean_environment() | {"no_proxy": "*", "MPLCONFIGDIR": str(tmp_path)}
    environment["PATH"] = f"{Path(sys.executable).parent}:{programs}:{os.environ['PATH']}"
    folder = tmp_path / "work"
    folder.mkdir()
    return Reader(folder, environment)


def _is_probability(output: str) -> bool:
    (row,) = json.loads(output)["predictions"]
    return list(row) == ["no", "yes"] and abs(sum(row.values()) - 1) < 1e-9


PROMISES: dict[str, Callable[[str], bool]] = {
    TRAINED: _is_probability,
    CODE: lambda output: output == '{"predictions":[21.0,70.0]}',
    CHAT: lambda output: json.loads(output)["choices"][0]["message"]["content"] == "You said: Hello",
    MLFLOW: lambda output: abs(json.loads(output)["predictions"][0] - 9.0) < 1e-6,
    CONTAINER: _is_probability,
}


@pytest.mark.parametrize("title", PROMISES)
def test_a_path_ends_with_the_promised_prediction(
    title: str, reader: Reader, tmp_path: Path, record_property: Any
) -> None:
    if title == MLFLOW and find_spec("mlflow") is None:
        _stand_in_for_mlflow(tmp_path / "work")
    if title == CONTAINER:
        for kind, text in _blocks(TRAINED):
            if kind == "python" or text.startswith("python "):
                reader.write(text) if kind == "python" else reader.run(text)
    seconds = reader.type_section(title)
    assert PROMISES[title](reader.output), reader.output
    record_property("seconds to the first prediction", seconds)
    print(f"{title}: {seconds:.1f} s from the start to the first prediction")


def _stand_in_for_mlflow(folder: Path) -> None:
    """Write a module ``mlflow.sklearn`` with the only function that the path calls: it writes what MLflow 3 writes."""
    (folder / "mlflow").mkdir()
    (folder / "mlflow" / "__init__.py").touch()
    (folder / "mlflow" / "sklearn.py").write_text(
        "import pathlib, pickle\n"
        "def save_model(model, path):\n"
        "    folder = pathlib.Path(path)\n"
        "    folder.mkdir()\n"
        "    (folder / 'model.pkl').write_bytes(pickle.dumps(model))\n"
        "    (folder / 'MLmodel').write_text('flavors:\\n  sklearn: {pickled_model: model.pkl}\\n"
        "  python_function: {loader_module: mlflow.sklearn}\\n')\n",
        encoding="utf-8",
    )


def test_every_path_of_the_table_is_a_section() -> None:
    links = re.findall(r"\]\(#([a-z-]+)\)", PAGE.partition("\n## ")[0])
    assert links == [title.lower().replace(" ", "-") for title in PROMISES]
