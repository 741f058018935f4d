"""YAML files whose aliases expand to many times the file are rejected."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.runtime_parameters.yaml_documents import read_texts, read_values
from tests.cases import each_case

Read = Callable[[Path, type[StartupError]], dict[str, Any]]
LEVELS = range(1, 30)


def nested(first: str, level: Callable[[str], str]) -> str:
    """Each level refers to the one before several times."""
    return "\n".join([f"a0: &a0 {first}", *(f"a{number}: &a{number} {level(f'*a{number - 1}')}" for number in LEVELS)])


LAUGHS = {
    "lists": nested("[lol, lol]", lambda alias: f"[{', '.join([alias] * 9)}]"),
    "mappings": nested("{x: 1}", lambda alias: f"{{{', '.join(f'k{key}: {alias}' for key in range(9))}}}"),
    "merges": nested("{x: 1}", lambda alias: f"{{<<: [{', '.join([alias] * 9)}]}}"),
    "pairs": nested("[1, 1]", lambda alias: f"[{alias}, {alias}]"),
    "long text": f"a: &a {'x' * 10_000}\nb: [{', '.join(['*a'] * 1000)}]",
}


@pytest.fixture(params=[read_values, read_texts])
def read(request: pytest.FixtureRequest) -> Read:
    found: Read = request.param
    return found


@each_case("text", LAUGHS.values(), ids=LAUGHS)
def test_aliases_that_multiply_are_rejected(tmp_path: Path, read: Read, text: str) -> None:
    path = tmp_path / "model-metadata.yaml"
    path.write_text(text)
    with pytest.raises(StartupError, match="has aliases that expand to more than 250000 characters"):
        read(path, StartupError)


def test_alias_of_itself_is_rejected(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text("a: &a [*a]")
    with pytest.raises(StartupError, match="nested too deeply"):
        read(path, StartupError)


def test_ordinary_aliases_are_read(tmp_path: Path) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text("base: &base {x: 1, y: 2}\nother: {<<: *base, y: 3}\nsame: *base\n")
    expected = {"base": {"x": 1, "y": 2}, "other": {"x": 1, "y": 3}, "same": {"x": 1, "y": 2}}
    assert read_values(path, StartupError) == expected


def test_large_file_without_aliases_is_read(tmp_path: Path) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text("".join(f"name{number}: {'x' * 1000}\n" for number in range(400)))
    assert len(read_values(path, StartupError)) == 400
