"""Target type x input format x framework: predictions equal the framework's own, or the error says why not."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from scipy.io import mmwrite
from scipy.sparse import csr_matrix

from datarobot_drum.drum.exceptions import ModelLoadError, PredictionError
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.handlers import Handlers
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.messages import ModelRequest
from datarobot_drum.drum.serving.model_state import ModelState
from datarobot_drum.drum.settings.target_types import TargetType
from tests.artifact_predictors.trained_models import SAVE, TASKS, Saved
from tests.language_predictors.builders import model_settings

pytestmark = [
    pytest.mark.filterwarnings("ignore:X does not have valid feature names"),  # matrices have none
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge"),
]

ROWS = 5
FORMATS = ["csv raw", "csv multipart", "mtx raw", "mtx multipart"]
TEXT_TARGETS = ["textgeneration", "geopoint", "vectordatabase", "agenticworkflow"]

REFUSED = {
    **{("lightgbm", "multilabel"): "predicts 1 columns but 3 class labels"},
    **{(framework, kind): "predicts numbers" for framework in ("xgboost", "lightgbm", "onnx") for kind in TEXT_TARGETS},
    **{(framework, "unstructured"): "needs the hook score_unstructured" for framework in SAVE},
}
"""The error of a framework for a target type that it does not support."""

REFUSED_INPUT = {("skops", "anomaly", "mtx"): "cannot use sparse input in 'OneClassSVM' trained on dense data"}
"""The error of an estimator for an input format that it does not support."""


@dataclass(frozen=True)
class Served:
    saved: Saved
    predictor: BasePredictor
    handlers: Handlers


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Create a loaded model by framework and target type, once each."""

    @cache
    def make(framework: str, kind: str) -> Served:
        folder = tmp_path_factory.mktemp("model")
        saved = SAVE[framework](folder, TASKS[kind])
        settings = model_settings(folder, kind, TASKS[kind].labels)
        predictor = create_predictor(settings)
        predictor.load()
        predictor.close()
        state = ModelState()
        state.set_ready()
        return Served(saved, predictor, Handlers(predictor, settings, "fastapi", state, WorkerCtx()))

    return make


@contextmanager
def request_of(data: pd.DataFrame, layout: str) -> Iterator[ModelRequest]:
    kind, way = layout.split()
    content = data.to_csv(index=False).encode() if kind == "csv" else _matrix_market(data)
    upload = SpooledUploadFile.from_bytes(content, name="X", filename=f"rows.{kind}", content_type=f"text/{kind}")
    with upload:
        if way == "multipart":
            yield ModelRequest("POST", parts=(upload,))
        else:
            yield ModelRequest("POST", Headers([("Content-Type", f"text/{kind}")]), body=upload)


def _matrix_market(data: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    mmwrite(file, csr_matrix(data.to_numpy()), precision=17)
    return file.getvalue()


def table_of(content: bytes, labels: tuple[str, ...]) -> np.ndarray:
    rows = orjson.loads(content)["predictions"]
    return np.array([[row[label] for label in labels] if labels else [row] for row in rows])


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("framework", SAVE)
def test_predictions_equal_the_frameworks_own(
    serve: Callable[[str, str], Served], framework: str, kind: str, layout: str
) -> None:
    task = TASKS[kind]
    rows = task.data.iloc[::29][:ROWS]
    if (framework, kind) in REFUSED:
        with pytest.raises(ModelLoadError, match=REFUSED[framework, kind]):
            serve(framework, kind)
        return
    served = serve(framework, kind)
    if reason := REFUSED_INPUT.get((framework, kind, layout.split()[0])):
        with request_of(rows, layout) as request, pytest.raises(PredictionError, match=reason):
            served.handlers.do_predict_structured(request)
        return
    with request_of(rows, layout) as request:
        response = served.handlers.do_predict_structured(request)
    assert isinstance(response.content, bytes)
    samples = csr_matrix(rows.to_numpy()) if layout.startswith("mtx") else rows.reset_index(drop=True)
    own = np.asarray(served.saved.own(samples), dtype=np.float64).reshape(len(rows), -1)
    assert np.array_equal(table_of(response.content, task.labels), own)


@pytest.mark.parametrize("framework", SAVE)
@pytest.mark.parametrize("kind", ["unstructured", "transform", *TEXT_TARGETS])
def test_non_numeric_targets_predict_or_are_rejected(tmp_path: Path, framework: str, kind: str) -> None:
    """Estimators may predict text, so they predict; numeric frameworks are rejected at load."""
    saved = SAVE[framework](tmp_path, TASKS["regression"])
    settings = model_settings(tmp_path, kind, target_name="answer")
    if kind in TEXT_TARGETS and (framework, kind) not in REFUSED:
        predictor = create_predictor(settings)
        predictor.load()
        predictor.close()
        values = predictor.predict(TASKS["regression"].data).values
        assert values[:, 0].tolist() == list(saved.own(TASKS["regression"].data))
        return
    with pytest.raises(ModelLoadError, match=REFUSED.get((framework, kind), kind)):
        create_predictor(settings).load()


def test_tables_cover_every_target_type() -> None:
    assert {kind.value for kind in TargetType} == {*TASKS, *TEXT_TARGETS, "unstructured", "transform"}
