"""The README of each example: its curl command gets the described response on every server."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.all_servers import Servers, running_servers

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/README.md"))


def documents(output: str) -> list[Any]:
    return [json.loads(line[6:]) for line in output.splitlines() if line.startswith("data: {")]


def _is_eight_probabilities(output: str, *labels: str) -> bool:
    rows = json.loads(output)["predictions"]
    return len(rows) == 8 and all(tuple(row) == labels and abs(sum(row.values()) - 1) < 1e-9 for row in rows)


def _is_an_echo(output: str) -> bool:
    words = [chunk["choices"][0]["delta"].get("content") or "" for chunk in documents(output)]
    return "".join(words) == "You said: Good morning, server!" and output.rstrip().endswith("data: [DONE]")


PROMISES: dict[str, Callable[[str], bool]] = {
    "bearer_token": lambda output: output == '{"predictions":[6.0,20.0]}',
    "binary_breast_cancer": lambda output: _is_eight_probabilities(output, "benign", "malignant"),
    "chat_echo": _is_an_echo,
    "multiclass_wine": lambda output: _is_eight_probabilities(output, "class_0", "class_1", "class_2"),
    "regression_diabetes": lambda output: [type(value) for value in json.loads(output)["predictions"]] == [float] * 8,
    "several_models": lambda output: output == '{"predictions":[4.71238898038469,15.707963267948966]}',
    "streaming_text": lambda output: {len(line.split()) for line in output.splitlines()} == {20},
    "transform_scaling": lambda output: 'name="X.transformed"' in output and 'name="out.format"' in output,
    "unstructured_text": lambda output: (
        json.loads(output) == {"mimetype": "text/plain", "words": 18, "top": {"server": 2, "model": 2}}
    ),
}


@pytest.fixture(scope="module", params=EXAMPLES)
def name(request: pytest.FixtureRequest) -> str:
    example: str = request.param
    return example


@pytest.fixture(scope="module")
def lines(name: str) -> list[str]:
    return (ROOT / "examples" / name / "README.md").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def all_servers(
    name: str, lines: list[str], artifacts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """The example on all servers, in the environment that its README sets."""
    folder = tmp_path_factory.mktemp(name)
    shutil.copytree(ROOT / "examples" / name, folder / "model", ignore=shutil.ignore_patterns("*.pkl"))
    if (artifacts / name / "model.pkl").exists():
        shutil.copy(artifacts / name / "model.pkl", folder / "model")
    environment = dict(re.findall(r"(MLOPS_RUNTIME_PARAM_\w+)='([^']*)'", lines[2]))
    with running_servers(folder, "--code-dir", folder / "model", environment=environment, ready_status=None) as servers:
        yield servers


def test_readme_has_five_lines_and_names_the_example(name: str, lines: list[str]) -> None:
    assert len(lines) == 5 and lines[0].startswith("# ")
    assert f"make serve MODEL=examples/{name}`" in lines[2] and lines[3].startswith("Call it: `curl ")


def test_readme_curl_gets_the_described_response(name: str, lines: list[str], all_servers: Servers) -> None:
    words = shlex.split(lines[3].removeprefix("Call it: ").strip("`"))
    for server in all_servers.values():
        command = [word.replace("http://127.0.0.1:8080", server.url) for word in words]
        command[1:1] = ["--silent", "--show-error", "--noproxy", "*", "--max-time", "60"]
        output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
        assert PROMISES[name](output), output
