"""The walk through of ``docs/operate/kubernetes.md``: start, probe and drain, with the lines that stand there."""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes import clean_environment, free_port

PAGE = Path(__file__).parents[2] / "docs" / "operate" / "kubernetes.md"

pytestmark = [pytest.mark.process, pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")]


def _script() -> str:
    """Return the documented lines, with ports that are free."""
    (script,) = re.findall(r"^```sh\n(mkdir -p model\n.+?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    for port in ("8080", "8081"):
        script = script.replace(port, str(free_port()))
    return str(script)


def test_documented_lines_start_probe_and_drain_a_server(tmp_path: Path) -> None:
    drum = tmp_path / "bin" / "drum"
    drum.parent.mkdir()
    drum.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m datarobot_drum "$@"\n', encoding="utf-8")
    drum.chmod(0o755)
    environment = {**clean_environment(), "no_proxy": "localhost", "TMPDIR": str(tmp_path)}
    environment["PATH"] = f"{drum.parent}:{environment['PATH']}"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-uc", _script()],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        output, _ = process.communicate(timeout=90)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert output.decode().splitlines() == [
        "readyz 200",
        "livez 200",
        '{"predictions":[0.0]}',
        "readyz 503",
        '{"predictions":[1.0]}',
        '{"predictions":[16.0]}',
        "exit code 0",
    ], (tmp_path / "log").read_text(encoding="utf-8")
