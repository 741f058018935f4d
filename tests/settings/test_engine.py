"""Settings of an inference engine beside the server."""

from pathlib import Path
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import RuntimeParameterError, UsageError
from tests.cases import each_case
from tests.settings.building import build, set_parameter

pytestmark = pytest.mark.usefixtures("clean_environment")


def _engine(tmp_path: Path, **values: Any) -> Any:
    given_values = {"target_type": "textgeneration", "gpu_predictor": "nim", "sidecar": True, **values}
    return build(tmp_path, **given_values).model.engine


@pytest.fixture
def target_name(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET_NAME", "answer")


@pytest.mark.usefixtures("target_name")
def test_engine_address_comes_from_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (_engine(tmp_path).url, _engine(tmp_path).model_name) == ("http://127.0.0.1:8000", "datarobot-deployed-llm")
    set_parameter(monkeypatch, "DRUM_ENGINE_HOST", "string", "engine.example")
    set_parameter(monkeypatch, "DRUM_ENGINE_PORT", "numeric", 9000)
    set_parameter(monkeypatch, "served_model_name", "string", "mine")
    engine = _engine(tmp_path, gpu_predictor="vllm")
    assert (engine.url, engine.model_name, engine.health_path) == ("http://engine.example:9000", "mine", "/health")


@pytest.mark.usefixtures("target_name")
@each_case(
    ("values", "complaint"),
    [
        ({"sidecar": False}, "starts no engine here.*give --sidecar"),
        ({"gpu_predictor": None}, "name it with --gpu-predictor"),
        ({"target_type": "regression"}, "not regression"),
    ],
)
def test_impossible_engine_raises_usage_error(tmp_path: Path, values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        _engine(tmp_path, **values)


@pytest.mark.usefixtures("target_name")
@each_case("host", ["http://x", "x/y", "a@b", "x:80:y z", "x y", "x?"])
def test_engine_host_rejects_other_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DRUM_ENGINE_HOST", host)
    with pytest.raises(RuntimeParameterError, match="DRUM_ENGINE_HOST"):
        _engine(tmp_path)
