"""A row has the prediction of the library itself on a server, alone and in a batch."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.api.all_servers import running_servers
from tests.api.responses import assert_same_response
from tests.cases import each_case
from tests.input_schema.onnx_models import ONNX_MODELS
from tests.input_schema.properties import to_csv
from tests.input_schema.tables import to_values
from tests.input_schema.tree_models import MODELS

pytestmark = pytest.mark.process

SERVED = [
    ("LightGBM file", "flask"),
    ("XGBoost estimator", "gunicorn"),
    ("CatBoost file", "fastapi"),
    ("ONNX with inputs of several columns", "fastapi"),
]


@each_case(("name", "server_type"), SERVED)
def test_servers_predict_a_row_alone_as_in_a_batch(tmp_path: Path, name: str, server_type: str) -> None:
    trained, folder = {**MODELS, **ONNX_MODELS}[name](), tmp_path / "model"
    folder.mkdir()
    trained.save(folder)
    cells = pd.DataFrame({feature.name: [str(value) for value in feature.values[:2]] for feature in trained.features})
    own = np.asarray(trained.predict(to_values(trained.features, cells)), dtype=np.float64).ravel().tolist()
    with running_servers(
        tmp_path, "--code-dir", folder, "--target-type", "regression", server_types=[server_type]
    ) as servers:
        for rows in ([0, 1], [0], [1]):
            response = assert_same_response(servers, "POST", "/predict/", content=to_csv(cells.iloc[rows]))
            assert json.loads(response.body)["predictions"] == [own[row] for row in rows]
