"""The blocks of each page run one after the other in one shell, as a reader would type them."""

import doctest
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.docs.blocks import BLOCKS, ROOT, Block
from tests.docs.preparations import prepare, write
from tests.processes import clean_environment, free_port

PAGES = list(
    dict.fromkeys(block.page for block in BLOCKS if block.runs_with_page and block.language in ("sh", "console"))
)

pytestmark = [pytest.mark.process, pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")]

_PRELUDE = """
set -eEuo pipefail
trap 'echo "failed: $BASH_COMMAND" >&2' ERR
server=
stop() {
    [ -z "$server" ] || { kill -TERM $server && wait $server || true; }
    server=
}
ready() {
    server=$1
    for _ in $(seq 600); do
        kill -0 $server || { echo "the server ended" >&2; exit 1; }
        [ "$(command curl -s -o /dev/null -w '%{http_code}' --noproxy '*' 127.0.0.1:8080/readyz)" != 200 ] || return 0
        sleep 0.1
    done
    echo "no server on port 8080" >&2
    exit 1
}
curl() { command curl --silent --show-error --noproxy '*' --max-time 60 $failing "$@"; }
"""
_SERVER = re.compile(r"(?:\w+=\S*(?: |\\\n)+)*drum (?:server|serve)\b(?!.* --check)")
_COMPARED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _logical_lines(text: str) -> Iterator[str]:
    """Yield the lines, each with those that continue it: after a backslash, within quotes and here-documents."""
    pending = ""
    for line in text.splitlines():
        pending += line + "\n"
        check = subprocess.run(["bash", "-n"], input=pending, text=True, capture_output=True)
        if check.returncode == 0 and not check.stderr and not pending.endswith("\\\n"):
            yield pending
            pending = ""
    assert not pending, pending


def _as_script(text: str) -> str:
    """Return the lines of a block; a server in the foreground goes to the background, and its end is not awaited."""
    lines = []
    for line in _logical_lines(text):
        if _SERVER.match(line) and not re.search(r"&\s*(#.*)?$", line):
            command = re.sub(r"\s+#[^\n]*$", "", line.rstrip("\n"))
            line = f"stop; {command} >> server.log 2>&1 & ready $!\n"
        lines.append(line)
    return "".join(lines)


def _commands(block: Block) -> Iterator[tuple[str, str]]:
    """Yield the commands of a console block, each with the output that it shows."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        more = next((n for n, line in enumerate(lines[1:], 1) if not line.startswith("> ")), len(lines))
        yield "".join([lines[0], *(line[2:] for line in lines[1:more])]), "".join(lines[more:])


class _Page:
    """The script of a page, and the outputs that its console blocks show."""

    def __init__(self, page: Path, folder: Path) -> None:
        self.expected: dict[Path, str] = {}
        self._folder = folder
        self._outputs = folder / ".outputs"
        self._outputs.mkdir()
        self._ports = {"8080": str(free_port()), "8081": str(free_port())}
        self.script = self._own(_PRELUDE + "failing=--fail-with-body\n" + _as_script(prepare(page, folder)))
        for block in BLOCKS:
            if block.page == page and block.runs_with_page:
                self.script += self._own(f"echo {block} >&2\n" + self._steps(block))

    def _own(self, text: str) -> str:
        return re.sub(r"\b808[01]\b", lambda found: self._ports[found[0]], text)

    def _steps(self, block: Block) -> str:
        if block.file_name:
            path = self._outputs / f"line-{block.line}" / block.file_name
            write(path, block.text)
            return f"mkdir -p $(dirname {block.file_name}) && cp {path} {block.file_name}\n"
        if block.is_client:
            write(path := self._outputs / f"line-{block.line}.py", self._own(block.text))
            return f"python {path}\n"
        if block.language == "sh":
            return _as_script(block.text)
        if block.language == "console":
            return "failing=\n" + "".join(self._console(block)) + "failing=--fail-with-body\n"
        return ""

    def _console(self, block: Block) -> Iterator[str]:
        for number, (command, output) in enumerate(_commands(block)):
            path = self._outputs / f"line-{block.line}-{number}.txt"
            self.expected[path] = self._own(output)
            yield f"{{ {command}}} > {path} 2>&1 || true\n"

    def run(self) -> None:
        """Run the script in the folder; fail with the end of its log."""
        (self._folder / ".outputs" / "script").write_text(self.script)
        programs = self._outputs / "bin"
        for name, module in (("drum", "-m datarobot_drum"), ("python", ""), ("python3", "")):
            write(programs / name, f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
            (programs / name).chmod(0o755)
        log = self._outputs / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", self.script + "stop\n"],
                cwd=self._folder,
                env=self._environment(programs),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            code = process.wait(timeout=300)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        servers = self._folder / "server.log"
        assert code == 0, log.read_text()[-3000:] + (servers.read_text()[-3000:] if servers.exists() else "")

    def _environment(self, programs: Path) -> dict[str, str]:
        """Return the variables of the shell; the default address has the port that stands for 8080."""
        own = {"ADDRESS": f"127.0.0.1:{self._ports['8080']}", "DRUM_LAME_DUCK_SECONDS": "0"}
        return {**clean_environment(), **own, "PATH": f"{programs}:{os.environ['PATH']}"}

    def different_outputs(self) -> Iterator[str]:
        """Yield each output that is not the documented one."""
        checker = doctest.OutputChecker()
        for path, text in self.expected.items():
            got = path.read_text(encoding="utf-8").replace("\r\n", "\n")
            if not checker.check_output(text.rstrip() + "\n", got.rstrip() + "\n", _COMPARED):
                yield f"{path.stem}: expected\n{text}\ngot\n{got}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_of_a_page_run_as_they_stand_there(page: Path, tmp_path: Path) -> None:
    session = _Page(page, tmp_path)
    session.run()
    assert list(session.different_outputs()) == []
