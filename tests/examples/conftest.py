"""The artifacts of the examples, trained once for the tests in this folder."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "make_artifacts.py"

MakeArtifacts = Callable[[Path], list[str]]


@pytest.fixture(scope="session")
def make_artifacts() -> MakeArtifacts:
    """Run the script on a folder; returns its output lines, one for each artifact made."""

    def run(folder: Path) -> list[str]:
        command = [sys.executable, str(SCRIPT), "--output", str(folder)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()

    return run


@pytest.fixture(scope="session")
def artifacts(make_artifacts: MakeArtifacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the artifacts of all examples."""
    folder = tmp_path_factory.mktemp("artifacts")
    make_artifacts(folder)
    return folder
