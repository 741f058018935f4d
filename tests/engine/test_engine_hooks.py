"""Hooks of ``custom.py`` precede the engine."""

import json
from pathlib import Path

import pytest

from tests.api.all_servers import Servers
from tests.api.models import write_code
from tests.api.responses import assert_same_response, request_all
from tests.engine.running import RunningEngine, engine_servers

pytestmark = pytest.mark.process

CHAT = {"messages": [{"role": "user", "content": "hi"}]}

HOOKS = '''
"""Scores with the engine's address; the engine chats."""

import pandas as pd


def score(data, model, target_name, **kwargs):
    return pd.DataFrame({target_name: [f"{model.kind} {model.url}"] * len(data)})
'''

UNSTRUCTURED = """
def score_unstructured(model, data, **kwargs):
    return data[::-1]
"""


def requested_models(all_servers: Servers) -> set[str]:
    """Return the model names in the requests that the engine received."""
    return {
        json.loads(response.body)["model"]
        for response in request_all(all_servers, "POST", "/chat/completions", json=CHAT).values()
    }


def test_hooks_precede_the_engine(engine: RunningEngine, tmp_path: Path) -> None:
    model = write_code(tmp_path / "model", HOOKS)
    environment = {"DRUM_ENGINE_HOST": "localhost", "served_model_name": "mine"}
    with engine_servers(tmp_path, engine.port, kind="vllm", code_dir=model, environment=environment) as all_servers:
        response = assert_same_response(all_servers, "POST", "/predict/", content="a,b\n1,2\n")
        expected = [{"answer": f"vllm http://localhost:{engine.port}"}]
        assert json.loads(response.body) == {"predictions": expected}
        assert requested_models(all_servers) == {"mine"}


def test_unstructured_model_with_an_engine_calls_its_hook(engine: RunningEngine, tmp_path: Path) -> None:
    model = write_code(tmp_path / "model", UNSTRUCTURED)
    words = ("--target-type", "unstructured")
    with engine_servers(tmp_path, engine.port, *words, code_dir=model) as all_servers:
        assert assert_same_response(all_servers, "POST", "/predictUnstructured/", content=b"abc").body == b"cba"
        assert assert_same_response(all_servers, "POST", "/nim/x", content=b"abc").status == 200
        assert assert_same_response(all_servers, "POST", "/chat/completions", json=CHAT).status == 404
