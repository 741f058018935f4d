"""The environments: the current one, and a virtual environment per peer, created on first use."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.compare.servers import OURS, PEERS, Server

APPS = Path(__file__).parent / "apps"
MODEL = Path(__file__).with_name("model.py")
INSTALLED = ".installed"


class MeasurementError(Exception):
    """A server that cannot be measured, with the reason."""


@dataclass(frozen=True)
class Environment:
    """An interpreter, and the files that were made with it for this run."""

    name: str
    python: Path
    files: Path

    def words(self, words: Sequence[str], **further: object) -> list[str]:
        return [self.fill(word, **further) for word in words]

    def fill(self, text: str, **further: object) -> str:
        """Replace the names in braces in ``text``."""
        return text.format(python=self.python, bin=self.python.parent, apps=APPS, files=self.files, **further)

    def document(self, name: str) -> Any:
        """Return the document that ``model.py`` has written as ``name``."""
        return json.loads((self.files / f"{name}.json").read_text())


def open_environment(name: str, below: Path, files: Path) -> Environment:
    """Return the environment ``name`` with the model trained in it.

    Args:
        below: folder of the peers' environments; missing ones are created.
        files: folder for the files of this run.

    Raises:
        MeasurementError: it cannot be created, or the model cannot be trained in it.
    """
    python = Path(sys.executable) if name == OURS else python_of(name, PEERS[name].requirements, below)
    environment = Environment(name, python, files / name)
    environment.files.mkdir(parents=True, exist_ok=True)
    _run([str(python), str(MODEL), str(environment.files)])
    if name == OURS:
        _compile_package()
    return environment


def prepare(server: Server, environment: Environment) -> None:
    """Write the files that the server needs besides the model; raises MeasurementError if that fails."""
    if server.prepare is not None:
        server.prepare(environment.files)
    if server.prepare_command:
        _run(environment.words(server.prepare_command))


def _compile_package() -> None:
    """Compile our package, as pip does for the peers' packages."""
    package = find_spec("datarobot_drum")
    for folder in (package and package.submodule_search_locations) or ():
        _run([sys.executable, "-m", "compileall", "-q", folder])


def python_of(name: str, requirements: Sequence[str], below: Path) -> Path:
    """Return the interpreter of the environment ``name``, which is created with ``requirements`` if it is missing.

    Raises:
        MeasurementError: it cannot be created.
    """
    folder = (below / name).absolute()
    python = folder / "bin" / "python"
    mark = folder / INSTALLED
    # An environment that this script did not create is used as it is.
    if python.exists() and (mark.exists() or not (folder / ".begun").exists()):
        return python
    print(f"Making the environment of {name}: {folder}", flush=True)
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    (folder / ".begun").touch()
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])
    mark.touch()
    return python


def _run(words: list[str]) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise MeasurementError(str(error)) from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise MeasurementError(f"`{' '.join(words[1:4])}` ended with {done.returncode}: {last[0]}")
