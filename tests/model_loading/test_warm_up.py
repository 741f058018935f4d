"""Warm-up: the model predicts the sample before the server is ready."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import build_settings
from tests.root_predictors.in_process import ask

pytestmark = pytest.mark.usefixtures("clean_environment")

RECORDER = """from pathlib import Path
def record(word):
    with (Path(__file__).parent / 'seen').open('a') as file:
        file.write(word)
"""

HOOKS = {
    "score": (
        "regression",
        "import pandas as pd\ndef score(d, m):\n    record(f'{len(d)} rows')\n    return d.astype(float)\n",
    ),
    "score_stream": (
        "regression",
        "def score_stream(d, m):\n    record('started ')\n    yield d\n    record('ended')\n",
    ),
    "transform": ("transform", "def transform(X, m):\n    record(f'{len(X)} rows')\n    return X\n"),
    "score_unstructured": (
        "unstructured",
        "def score_unstructured(m, data, **kwargs):\n"
        "    record(f'{kwargs[\"mimetype\"]} ')\n    yield 'a'\n    record(repr(data))\n",
    ),
    "chat": (
        "textgeneration",
        "def chat(params, m):\n"
        "    for message in params['messages']:\n        record(message['content'])\n        yield {}\n",
    ),
}
HOOKS["embed"] = ("textgeneration", "def embed(texts, m):\n    record(f'{texts}')\n    return [[1.0]] * len(texts)\n")
CSV = b"a\n1\n2\n"
CHAT = b'{"messages": [{"role": "user", "content": "hello"}]}'

Make = Callable[..., PredictionServer]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    servers: list[PredictionServer] = []
    monkeypatch.setenv("TARGET_NAME", "answer")

    def make_server(hook: str, samples: dict[str, bytes], named: str = "", server_type: str = "flask") -> Any:
        target_type, code = HOOKS[hook]
        (tmp_path / "custom.py").write_text(RECORDER + code)
        for name, content in samples.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
        monkeypatch.setenv("DRUM_WARM_UP_FILE", named)
        arguments = Arguments(code_dir=str(tmp_path), target_type=target_type, address=":8080")
        servers.append(PredictionServer(build_settings(arguments, server_type)))
        return servers[-1]

    yield make_server
    for server in servers:
        server.close()


@pytest.mark.parametrize(
    ("hook", "sample", "content", "seen"),
    [
        ("score", "warm_up.csv", CSV, "2 rows"),
        ("score", "warm_up.mtx", b"%%MatrixMarket matrix array real general\n3 1\n1\n2\n3\n", "3 rows"),
        ("score_stream", "warm_up.csv", CSV, "started ended"),
        ("transform", "warm_up.csv", CSV, "2 rows"),
        ("score_unstructured", "warm_up.txt", b"text", "text/plain 'text'"),
        ("score_unstructured", "warm_up.json", b"{}", "application/json '{}'"),
        ("score_unstructured", "warm_up.png", b"\x89", "image/png b'\\x89'"),
        ("chat", "warm_up.json", CHAT, "hello"),
        ("embed", "warm_up.json", b'{"input": "hello"}', "['hello']"),
    ],
)
def test_warm_up_predicts_sample_with_the_models_hook(
    make: Make, tmp_path: Path, hook: str, sample: str, content: bytes, seen: str
) -> None:
    make(hook, {sample: content}).materialize()
    assert (tmp_path / "seen").read_text() == seen


@pytest.mark.parametrize("server_type", ["flask", "fastapi"])
def test_server_is_ready_after_warm_up(make: Make, tmp_path: Path, server_type: str) -> None:
    server = make("score", {"warm_up.csv": CSV}, server_type=server_type)
    seen: Queue[str] = Queue()
    server.state.finished.add_done_callback(lambda _: seen.put((tmp_path / "seen").read_text()))
    server.materialize()
    assert seen.get(timeout=30) == "2 rows"
    assert ask(server, "GET", "/readyz").status_code == 200


def test_parameter_selects_the_sample(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        make("score", {"warm_up.csv": CSV, "samples/three.csv": CSV + b"3\n"}, "samples/three.csv").materialize()
    assert (tmp_path / "seen").read_text() == "3 rows"
    assert "Warmed up with three.csv in" in caplog.text


@pytest.mark.parametrize(
    ("samples", "named", "reason"),
    [
        ({}, "no.csv", r"^DRUM_WARM_UP_FILE is no\.csv, and there is no such file in the model folder\.$"),
        ({"warm_up.csv": b""}, "", r"^The warm-up with warm_up\.csv failed: "),
        (
            {"warm_up.csv": b"a\nx\n"},
            "",
            r"^The warm-up with warm_up\.csv failed: custom\.py, line 8: ValueError: could",
        ),
    ],
)
def test_failed_warm_up_fails_the_load(make: Make, samples: dict[str, bytes], named: str, reason: str) -> None:
    with pytest.raises(ModelLoadError, match=reason):
        make("score", samples, named).materialize()


def test_python_module_is_not_a_sample(make: Make, tmp_path: Path) -> None:
    make("score", {"warm_up.py": b"x = 1"}).materialize()
    assert not (tmp_path / "seen").exists()
