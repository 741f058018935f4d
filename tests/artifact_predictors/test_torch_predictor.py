"""PyTorch: TorchScript, weights of a class in ``custom.py``, pickled modules; in process and served."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from datarobot_drum.drum.artifact_predictors.registry import load_artifact
from datarobot_drum.drum.exceptions import ModelLoadError, UnprocessableInput
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.settings.load_policy import PicklePolicy
from tests.artifact_predictors.loaded_models import Load, predict_csv
from tests.language_predictors.builders import model_settings
from tests.processes import RunningServer

torch = pytest.importorskip("torch", reason="needs datarobot-drum[torch]")

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

IRIS, IRIS_TARGET = load_iris(return_X_y=True, as_frame=True)

NETS = """
import torch


class Layer(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = torch.nn.Linear(inputs, outputs)

    def forward(self, rows):
        return torch.tanh(self.linear(rows))


class Flowers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = Layer(4, 8)
        self.last = torch.nn.Linear(8, 3)

    def forward(self, rows):
        return torch.softmax(self.last(self.layer(rows)), 1)
"""

WEIGHTS: dict[str, Any] = {}
"""Weights trained once; each test imports the class again."""


@pytest.fixture
def flowers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A trained module whose class is in a separate file of the model folder."""
    (tmp_path / "nets.py").write_text(NETS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = import_from_string("nets:Flowers")()
    if not WEIGHTS:
        WEIGHTS.update(train(module, IRIS, IRIS_TARGET).state_dict())
    module.load_state_dict(WEIGHTS)
    yield module.eval()
    sys.modules.pop("nets", None)


def train(module: Any, data: pd.DataFrame, target: Any) -> Any:
    """Train a few steps, enough to separate the classes."""
    torch.manual_seed(0)
    rows, wanted = tensor(data), torch.tensor(np.asarray(target))
    optimizer = torch.optim.Adam(module.parameters(), 0.05)
    for _ in range(40):
        optimizer.zero_grad()
        loss = -torch.log(module(rows)[torch.arange(len(rows)), wanted]).mean()
        loss.backward()
        optimizer.step()
    return module.eval()


def tensor(data: pd.DataFrame) -> Any:
    return torch.from_numpy(np.ascontiguousarray(data.to_numpy(), dtype=np.float32))


def own(module: Any, data: pd.DataFrame) -> np.ndarray:
    with torch.inference_mode():
        output: np.ndarray = module(tensor(data)).numpy()
    return output


LABELS = ("z 1", "ä", "b")


def test_torch_script_loads_without_custom_code(tmp_path: Path, load: Load, flowers: Any) -> None:
    torch.jit.script(flowers).save(str(tmp_path / "model.pth"))
    predictor = load("multiclass", LABELS)
    assert (predictor.name, predictor.thread_safe) == ("pytorch", True)
    predictions = predict_csv(predictor, IRIS)
    assert predictions.columns == LABELS
    assert np.array_equal(predictions.values, own(flowers, IRIS))
    assert (predictions.values.argmax(1) == IRIS_TARGET).mean() > 0.8


@pytest.mark.parametrize("key", ["", "state_dict", "model_state_dict"])
@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "old format"])
def test_weights_load_into_the_matching_class(tmp_path: Path, load: Load, flowers: Any, key: str, zipped: bool) -> None:
    state = {key: flowers.state_dict(), "epoch": 40} if key else flowers.state_dict()
    torch.save(state, tmp_path / "model.pth", _use_new_zipfile_serialization=zipped)
    (tmp_path / "custom.py").write_text("from nets import Flowers, Layer\n", encoding="utf-8")
    assert np.array_equal(predict_csv(load("multiclass", LABELS), IRIS).values, own(flowers, IRIS))


@pytest.mark.parametrize(
    "code", [None, "from torch.nn import Flatten\nfrom nets import Layer\n"], ids=["no code", "no class"]
)
def test_weights_without_a_matching_class_are_rejected(
    tmp_path: Path, load: Load, flowers: Any, code: str | None
) -> None:
    torch.save(flowers.state_dict(), tmp_path / "model.pth")
    if code:
        (tmp_path / "custom.py").write_text(code, encoding="utf-8")
    with pytest.raises(ModelLoadError, match=r"model\.pth holds weights only: custom\.py must have one class.*none"):
        load("multiclass", LABELS)


def test_a_pickled_module_is_loaded_with_a_warning(
    tmp_path: Path, load: Load, flowers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    torch.save(flowers, tmp_path / "model.pth")
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(predict_csv(load("multiclass", LABELS), IRIS).values, own(flowers, IRIS))
    assert "loading it runs the code inside, which DRUM_PICKLE_POLICY=allow permits." in caplog.text


@pytest.mark.parametrize("policy", [PicklePolicy.SCAN, PicklePolicy.REFUSE])
def test_a_pickled_module_is_rejected_unless_allowed(tmp_path: Path, flowers: Any, policy: PicklePolicy) -> None:
    torch.save(flowers, tmp_path / "model.pth")
    with pytest.raises(ModelLoadError, match=rf"more than weights, which DRUM_PICKLE_POLICY={policy.value} rejects"):
        load_artifact(tmp_path / "model.pth", None, policy)


@pytest.mark.parametrize("policy", [PicklePolicy.SCAN, PicklePolicy.REFUSE])
@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "old format"])
def test_weights_are_loaded_under_every_policy(
    tmp_path: Path, flowers: Any, policy: PicklePolicy, is_zip: bool
) -> None:
    (tmp_path / "custom.py").write_text(NETS, encoding="utf-8")
    torch.save(flowers.state_dict(), tmp_path / "model.pth", _use_new_zipfile_serialization=is_zip)
    predictor = create_predictor(model_settings(tmp_path, "multiclass", LABELS, pickle_policy=policy))
    predictor.load()
    predictor.close()


@pytest.mark.parametrize("policy", [PicklePolicy.SCAN, PicklePolicy.REFUSE])
def test_dangerous_call_beside_weights_is_rejected(tmp_path: Path, policy: PicklePolicy) -> None:
    class Calls:
        def __reduce__(self) -> Any:
            return os.system, (f"touch '{tmp_path / 'ran'}'",)

    torch.save({"weight": torch.zeros(2), "more": Calls()}, tmp_path / "model.pth")
    with pytest.raises(ModelLoadError, match="system" if policy is PicklePolicy.SCAN else "refuse rejects"):
        load_artifact(tmp_path / "model.pth", None, policy)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("policy", [PicklePolicy.SCAN, PicklePolicy.REFUSE])
def test_torch_script_is_loaded_under_every_policy(tmp_path: Path, flowers: Any, policy: PicklePolicy) -> None:
    torch.jit.save(torch.jit.trace(flowers, torch.zeros(1, 4)), tmp_path / "model.pth")
    assert load_artifact(tmp_path / "model.pth", None, policy) is not None


def test_file_without_a_model_is_rejected(tmp_path: Path, load: Load) -> None:
    torch.save([1, 2], tmp_path / "model.pth")
    with pytest.raises(ModelLoadError, match="holds a list, neither a module nor the weights of one"):
        load("regression")


def sequence(outputs: int, last: Any, width: int, dtype: Any = None) -> Any:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(width, outputs), last).to(dtype or torch.float32).eval()


@pytest.mark.parametrize(
    ("kind", "labels", "outputs", "last"),
    [
        pytest.param("regression", (), 1, torch.nn.Identity(), id="regression"),
        pytest.param("anomaly", (), 1, torch.nn.Flatten(0), id="anomaly"),
        pytest.param("multilabel", ("a", "b"), 2, torch.nn.Sigmoid(), id="multilabel"),
        pytest.param("binary", ("no", "yes"), 2, torch.nn.Softmax(1), id="binary"),
    ],
)
def test_each_target_type_predicts_the_models_values(
    tmp_path: Path, load: Load, kind: str, labels: tuple[str, ...], outputs: int, last: Any
) -> None:
    module = sequence(outputs, last, 4)
    torch.jit.script(module).save(str(tmp_path / "model.pth"))
    values = predict_csv(load(kind, labels), IRIS).values
    assert np.array_equal(values, own(module, IRIS).reshape(len(IRIS), -1))


def test_lone_binary_column_is_the_positive_label(tmp_path: Path, load: Load) -> None:
    module = sequence(1, torch.nn.Sigmoid(), 4)
    torch.jit.script(module).save(str(tmp_path / "model.pth"))
    positive = own(module, IRIS).astype(np.float64)
    assert np.array_equal(
        predict_csv(load("binary", ("no", "yes")), IRIS).values, np.hstack([1.0 - positive, positive])
    )


def test_rows_have_the_type_of_the_parameters(tmp_path: Path, load: Load) -> None:
    module = sequence(1, torch.nn.Identity(), 4, torch.float64)
    torch.jit.script(module).save(str(tmp_path / "model.pth"))
    with torch.inference_mode():
        output = module(torch.tensor(IRIS.to_numpy().tolist(), dtype=torch.float64)).numpy()
    assert np.array_equal(predict_csv(load("regression"), IRIS).values, output)


def test_text_in_a_numeric_column_raises_unprocessable_input(tmp_path: Path, load: Load) -> None:
    torch.jit.script(sequence(1, torch.nn.Identity(), 4)).save(str(tmp_path / "model.pth"))
    with pytest.raises(UnprocessableInput, match="hold none: note"):
        predict_csv(load("regression"), IRIS.assign(note="x"))


@pytest.mark.process
def test_server_predicts_what_the_module_does(tmp_path: Path, flowers: Any) -> None:
    torch.save(flowers.state_dict(), tmp_path / "model.pth")
    (tmp_path / "custom.py").write_text("from nets import Flowers\n", encoding="utf-8")
    arguments = ("--code-dir", tmp_path, "--target-type", "multiclass", "--class-labels", *LABELS)
    environment = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_LAME_DUCK_SECONDS": "0"}
    with RunningServer(*arguments, log=tmp_path / "log.txt", environment=environment) as server:
        rows = server.client.post("/predict/", content=IRIS.to_csv(index=False)).json()["predictions"]
    assert list(rows[0]) == list(LABELS)
    assert np.array_equal([list(row.values()) for row in rows], own(flowers, IRIS).astype(np.float64))
