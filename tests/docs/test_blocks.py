"""Each block of the documentation is run, or says why not; all are at least read."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

from datarobot_drum.drum.commands.registry import COMPLETION
from datarobot_drum.drum.settings.arguments import arguments_of, variable_names
from datarobot_drum.drum.settings.declaration import COMMAND_NAMES
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETER_NAMES
from tests.cases import each_case
from tests.docs.blocks import BLOCKS, PAGES, ROOT, Block

_SHELL = ("sh", "console")
_RUN = {*_SHELL, "python", "yaml", "json"}
_OUTPUT = {"text"}
"""Diagrams, listings and output: nothing to run."""


def test_every_fence_is_found() -> None:
    for page in PAGES:
        fences = re.findall(r"^ *```", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert len(fences) == 2 * sum(block.page == page for block in BLOCKS), page


def test_every_block_is_run_or_says_why_not() -> None:
    assert [str(block) for block in BLOCKS if block.language not in _RUN | _OUTPUT and not block.not_run] == []
    assert [str(block) for block in BLOCKS if block.run_by and not (ROOT / block.run_by).is_file()] == []
    assert [str(block) for block in BLOCKS if block.not_run and len(block.not_run.split()) < 3] == []


@each_case("block", [block for block in BLOCKS if block.language in {"python", "yaml", "json"}], ids=str)
def test_block_can_be_parsed(block: Block) -> None:
    if block.language == "python":
        ast.parse(block.text)
    elif block.language == "json":
        json.loads(block.text)
    else:
        assert list(yaml.safe_load_all(block.text)) != [None]


def _commands(block: Block) -> str:
    if block.language == "sh":
        return block.text
    return "\n".join(line[2:] for line in block.text.splitlines() if line.startswith(("$ ", "> ")))


@each_case("block", [block for block in BLOCKS if block.language in _SHELL], ids=str)
def test_shell_block_can_be_parsed(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=_commands(block), text=True, check=True)


def test_flags_of_drum_commands_exist() -> None:
    """Also those of blocks that are not run."""
    unknown = []
    for block in (block for block in BLOCKS if block.language in _SHELL):
        for line in _commands(block).replace("\\\n", " ").splitlines():
            for command, words in re.findall(r"(?:^|[\s;&(])drum (new model|[a-z][a-z-]*)\b([^|;&#]*)", line):
                if command == COMPLETION:
                    continue  # it has no flags
                name = {"serve": "server"}.get(command, command)
                assert name in COMMAND_NAMES, f"{block}: drum {command}"
                flags = {argument.flag for argument in arguments_of(name).values()}
                unknown += [f"{block}: {flag}" for flag in re.findall(r"(--[a-z0-9-]+)", words) if flag not in flags]
    assert unknown == []


def test_parameters_on_pages_exist() -> None:
    known = {*SERVER_PARAMETER_NAMES, *variable_names(), "DRUM_ARGUMENTS"}
    names = {
        (page, name) for page in PAGES for name in re.findall(r"\bDRUM_[A-Z0-9_]*[A-Z0-9]\b", page.read_text("utf-8"))
    }
    assert sorted(f"{page.name}: {name}" for page, name in names if name not in known) == []


def test_link_check_finds_a_missing_file_and_heading(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# A title\n[a](#a-title) [b](#other) [c](none.md) `[d](none.md)`\n")
    command = [sys.executable, str(ROOT / ".ci" / "links.py"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "page.md:2: #other: no such heading",
        "page.md:2: none.md: no such file",
    ]
