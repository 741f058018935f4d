"""Environments: the one that runs this, and one of its own for each peer, made when it is first wanted."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.compare.servers import OURS, PEERS, Peer, Server

APPS = Path(__file__).parent / "apps"
MODEL = Path(__file__).with_name("model.py")
INSTALLED = ".installed"


class Missing(Exception):
    """A server that cannot take part, and why."""


@dataclass(frozen=True)
class Environment:
    """An interpreter, and the files that were made with it for this run."""

    name: str
    python: Path
    files: Path

    def words(self, words: Sequence[str], **further: object) -> list[str]:
        return [self.fill(word, **further) for word in words]

    def fill(self, text: str, **further: object) -> str:
        """``text`` with the names in braces replaced."""
        return text.format(python=self.python, bin=self.python.parent, apps=APPS, files=self.files, **further)

    def document(self, name: str) -> Any:
        """What ``model.py`` has written as ``name``."""
        return json.loads((self.files / f"{name}.json").read_text())


def open_environment(name: str, below: Path, files: Path) -> Environment:
    """The environment ``name`` with the model trained in it.

    Args:
        below: folder of the peers' environments; one that is not there yet is made.
        files: folder for what is made in this run.

    Raises:
        Missing: it cannot be made, or the model cannot be trained in it.
    """
    python = Path(sys.executable) if name == OURS else _python_of(PEERS[name], below)
    environment = Environment(name, python, files / name)
    environment.files.mkdir(parents=True, exist_ok=True)
    _run([str(python), str(MODEL), str(environment.files)])
    if name == OURS:
        _compile_package()
    return environment


def prepare(server: Server, environment: Environment) -> None:
    """Write what the server needs besides the model; raises Missing if that fails."""
    if server.prepare is not None:
        server.prepare(environment.files)
    if server.prepare_command:
        _run(environment.words(server.prepare_command))


def _compile_package() -> None:
    """What pip does with the packages of the others when it installs them."""
    package = find_spec("datarobot_drum")
    for folder in (package and package.submodule_search_locations) or ():
        _run([sys.executable, "-m", "compileall", "-q", folder])


def _python_of(peer: Peer, below: Path) -> Path:
    folder = (below / peer.name).absolute()
    python = folder / "bin" / "python"
    mark = folder / INSTALLED
    # One that somebody else has made is taken as it is.
    if python.exists() and (mark.exists() or not (folder / ".begun").exists()):
        return python
    print(f"Making the environment of {peer.name}: {folder}", flush=True)
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    (folder / ".begun").touch()
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.requirements])
    mark.touch()
    return python


def _run(words: list[str]) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise Missing(str(error)) from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise Missing(f"`{' '.join(words[1:4])}` ended with {done.returncode}: {last[0]}")
