"""The examples of ``docs/models/extensions.md`` run as they stand there."""

import re
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from flask import Flask

from datarobot_drum.drum.serving.extensions import extend_app
from tests.cases import each_case
from tests.processes import RunningServer

PAGE = (Path(__file__).parents[2] / "docs" / "models" / "extensions.md").read_text(encoding="utf-8")
EXAMPLES: list[tuple[str, str]] = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, flags=re.DOTALL)
EXTENSIONS = [(name, source) for name, source in EXAMPLES if name != "custom.py"]
BODY = b"width,height\n2,3\n4,5\n"


@each_case(("name", "source"), EXTENSIONS, ids=lambda text: text.splitlines()[0])
def test_example_extends_an_app(tmp_path: Path, name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, Path(name).stem, raising=False)
    (tmp_path / name).write_text(source)
    app = FastAPI() if name == "custom_fastapi.py" else Flask("app")
    assert extend_app(app, tmp_path, name.removeprefix("custom_").removesuffix(".py"))


@pytest.mark.process
@pytest.mark.parametrize("server_type", ["flask", "fastapi"])
def test_first_example_responds_as_shown(tmp_path: Path, server_type: str) -> None:
    first = dict(reversed(EXAMPLES))  # of equal names the first counts
    folder = tmp_path / "model"
    folder.mkdir()
    for name, source in first.items():
        (folder / name).write_text(source)
    environment = {"DRUM_SERVER_TYPE": server_type, "DRUM_LAME_DUCK_SECONDS": "0"}
    arguments = ("--code-dir", folder, "--target-type", "regression")
    with RunningServer(*arguments, log=tmp_path / "log", environment=environment) as server:
        response = server.client.post("/predict/", content=BODY, headers={"Content-Type": "text/csv"})
        assert (response.status_code, response.text) == (200, '{"predictions":[6.0,20.0]}')
        assert response.headers["X-Served-By"] == "my-team"
    assert "x-served-by: my-team\n" in PAGE and response.text in PAGE
