"""The table of servers: apps compile, wire formats are parsed, wrong predictions are rejected."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compare import bodies
from benchmarks.compare.bodies import WireFormat
from benchmarks.compare.environments import APPS, Environment, MeasurementError, prepare
from benchmarks.compare.run import check_predictions
from benchmarks.compare.servers import OURS, PEERS, SERVERS, Server

NAMES, ROWS = ["a", "b"], [[1.5, 2.0], [1e-9, 3.25]]
PAIRS = [[0.9, 0.1], [0.75, 0.25]]
NAMED = [{"benign": first, "malignant": second} for first, second in PAIRS]

RESPONSES: list[tuple[str, WireFormat, Any]] = [
    ("drum", bodies.DRUM, {"predictions": NAMED}),
    ("table", bodies.TABLE, NAMED),
    ("rows", bodies.PLAIN_ROWS, PAIRS),
    ("named rows", bodies.NAMED_ROWS, {"predictions": PAIRS}),
    ("mlflow", bodies.MLFLOW, {"predictions": PAIRS}),
    ("open inference", bodies.OPEN_INFERENCE, {"outputs": [{"data": [*PAIRS[0], *PAIRS[1]]}]}),
]

every_wire_format = pytest.mark.parametrize(
    ("wire_format", "response"), [case[1:] for case in RESPONSES], ids=[case[0] for case in RESPONSES]
)


@pytest.mark.parametrize("path", sorted(APPS.rglob("*.py")), ids=lambda path: str(path.relative_to(APPS)))
def test_app_compiles(path: Path) -> None:
    compile(path.read_text(encoding="utf-8"), str(path), "exec")


@pytest.mark.parametrize("server", SERVERS.values(), ids=list(SERVERS))
def test_server_command_has_no_open_placeholders(server: Server, tmp_path: Path) -> None:
    assert server.environment == OURS or server.environment in PEERS
    environment = Environment(server.environment, tmp_path / "bin" / "python", tmp_path)
    filled = {"port": 1, "port2": 2, "port3": 3, "workers": 1}
    words = environment.words([*server.command, *server.variables.values()], **filled)
    assert not [word for word in words if "{" in word]
    for word in words:
        app = Path(word)
        assert app.exists() or not app.is_relative_to(APPS), f"{app} is not there"


@pytest.mark.parametrize(
    ("name", "model", "batch"), [("mlserver", "pipeline", None), ("mlserver-batched", "forest", 64)]
)
def test_mlserver_settings_name_the_estimator(tmp_path: Path, name: str, model: str, batch: int | None) -> None:
    prepare(SERVERS[name], Environment("mlserver", tmp_path / "python", tmp_path))
    settings = json.loads((tmp_path / name / "model-settings.json").read_text())
    assert settings["parameters"]["uri"] == str(tmp_path / model / "array" / "model.joblib")
    assert settings.get("max_batch_size") == batch


def test_every_batching_peer_is_measured_with_batches() -> None:
    batching = {server.environment for server in SERVERS.values() if server.batches}
    assert batching == {OURS, *PEERS} - {"mlflow"}


@every_wire_format
def test_check_accepts_equal_predictions(wire_format: WireFormat, response: Any) -> None:
    check_predictions(wire_format, json.dumps(response).encode(), [0.1, 0.25])


@every_wire_format
@pytest.mark.parametrize("expected", [[0.1, 0.26], [0.1], [0.25, 0.1], [0.1, float("nan")]])
def test_check_rejects_other_predictions(wire_format: WireFormat, response: Any, expected: list[float]) -> None:
    with pytest.raises(MeasurementError):
        check_predictions(wire_format, json.dumps(response).encode(), expected)


@every_wire_format
def test_check_rejects_other_formats(wire_format: WireFormat, response: Any) -> None:
    with pytest.raises(MeasurementError, match="cannot be read"):
        check_predictions(wire_format, b'{"message": "no"}', [0.1, 0.25])


@every_wire_format
def test_bodies_contain_exact_values(wire_format: WireFormat, response: Any) -> None:
    body = wire_format.write(NAMES, ROWS)
    if wire_format.content_type == "text/csv":
        assert body == b"a,b\n1.5,2.0\n1e-09,3.25\n"
        return
    document = json.loads(body)
    split = document.get("dataframe_split", document)
    cells = split.get("data") or split["inputs"][0]["data"]
    assert cells in (ROWS, [*ROWS[0], *ROWS[1]])
