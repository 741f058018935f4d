"""Target types whose output is named after the target, and labels from environment variables."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.settings.build import build_settings, complete_arguments
from tests.root_predictors.in_process import ask

pytestmark = pytest.mark.usefixtures("clean_environment")

GEO = """
import pandas as pd

def score(data, model, target_name):
    points = [[float(x), float(y)] for x, y in zip(data["x"], data["y"])]
    return pd.DataFrame({target_name: points, "precision": data["x"] * 2})
"""

DATABASE = """
import pandas as pd

def score(data, model, target_name):
    texts = [f"passage about {query}" for query in data["query"]]
    return pd.DataFrame({"citation": [[1, 2]] * len(data), target_name: texts, "distance": 0.25})
"""

AGENT = """
import pandas as pd

def score(data, model, **kwargs):
    return pd.DataFrame({"answer": [None if prompt == "nothing" else prompt.upper() for prompt in data["prompt"]]})

def chat(completion_create_params, model):
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "agent", "choices": [{
        "index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": completion_create_params["messages"][-1]["content"][::-1]},
    }]}
"""

LABELS = """
import pandas as pd

def score(data, model, class_labels):
    return pd.DataFrame([[0.5, 0.25, 0.25]] * len(data), columns=class_labels)
"""

Start = Callable[[str, str], PredictionServer]


@pytest.fixture(params=["flask", "fastapi"])
def start(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start servers whose settings come from variables alone."""
    servers: list[PredictionServer] = []

    def start_server(target_type: str, code: str) -> PredictionServer:
        (tmp_path / "custom.py").write_text(code, encoding="utf-8")
        variables = {"CODE_DIR": str(tmp_path), "TARGET_TYPE": target_type, "TARGET_NAME": "answer", "ADDRESS": ":8080"}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        servers.append(PredictionServer(build_settings(complete_arguments("server", {}), request.param)))
        servers[-1].materialize()
        servers[-1].state.wait(30)
        return servers[-1]

    yield start_server
    for server in servers:
        server.close()


def predict(server: PredictionServer, body: bytes) -> bytes:
    answer = ask(server, "POST", "/predict/", content=body)
    assert answer.status_code == 200, answer.text
    return answer.content


def test_geopoints_are_returned_unchanged(start: Start) -> None:
    assert predict(start("geopoint", GEO), b"x,y\n1.5,2\n-3,4.25\n") == (
        b'{"predictions":[{"answer":[1.5,2.0]},{"answer":[-3.0,4.25]}],'
        b'"extraModelOutput":[{"precision":3.0},{"precision":-6.0}]}'
    )


def test_vector_database_returns_passages_with_extra_output(start: Start) -> None:
    assert predict(start("vectordatabase", DATABASE), b"query\ncats\n") == (
        b'{"predictions":[{"answer":"passage about cats"}],"extraModelOutput":[{"citation":[1,2],"distance":0.25}]}'
    )


def test_agentic_workflow_predicts_and_chats(start: Start) -> None:
    server = start("agenticworkflow", AGENT)
    assert predict(server, b"prompt\ngo\nnothing\n") == b'{"predictions":[{"answer":"GO"},{"answer":null}]}'
    messages = [{"role": "user", "content": "abc"}]
    answer = ask(server, "POST", "/v1/chat/completions", json={"messages": messages}).json()
    assert answer["choices"][0]["message"]["content"] == "cba"


@pytest.mark.parametrize("kind", ["geopoint", "vectordatabase", "agenticworkflow"])
def test_target_column_is_selected_by_name(start: Start, kind: str) -> None:
    code = "import pandas as pd\ndef score(d, m): return pd.DataFrame({'a': ['x'], 'b': ['y']})\n"
    answer = ask(start(kind, code), "POST", "/predict/", content=b"x\n1\n")
    assert answer.status_code == 500
    assert "must be in one named 'answer'" in answer.json()["message"]


@pytest.mark.parametrize("target_type", ["multiclass", "multilabel"])
def test_class_labels_file_variable_sets_labels(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target_type: str
) -> None:
    (tmp_path / "labels.txt").write_text("first class\r\n\n zweite \n3\n")
    monkeypatch.setenv("CLASS_LABELS_FILE", str(tmp_path / "labels.txt"))
    assert predict(start(target_type, LABELS), b"x\n1\n") == (
        b'{"predictions":[{"first class":0.5,"zweite":0.25,"3":0.25}]}'
    )


def test_label_variables_set_binary_labels(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSITIVE_CLASS_LABEL", "is good")
    monkeypatch.setenv("NEGATIVE_CLASS_LABEL", "0")
    code = "import pandas as pd\ndef score(d, m, positive_class_label):\n"
    code += "    return pd.DataFrame({positive_class_label: [0.75]})\n"
    answer: Any = ask(start("binary", code), "POST", "/predict/", content=b"x\n1\n").json()
    assert answer == {"predictions": [{"0": 0.25, "is good": 0.75}]}
