"""Large tables of numbers, in memory and on disk: the predictions of the estimator in process, to the last bit."""

import io
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from datarobot_drum.drum.serving.body.spooled_file import SPOOL_MAX_SIZE
from datarobot_drum.drum.tabular.exact_floats import EXACT_FLOATS
from datarobot_drum.drum.tabular.fast_csv import MIN_CHUNKED_BYTES
from tests.api.all_servers import FRAMEWORKS, Servers, running_servers
from tests.api.responses import assert_same_response
from tests.cases import each_case

pytestmark = pytest.mark.process

CSV = {"Content-Type": "text/csv"}
NAMES = [f"column {number}" for number in range(20)]
SIZES = {
    "one block": MIN_CHUNKED_BYTES // 10,
    "blocks in memory": (MIN_CHUNKED_BYTES + SPOOL_MAX_SIZE) // 2,
    "blocks on disk": SPOOL_MAX_SIZE * 5 // 4,
}

ROW = ",".join("9" * len(NAMES))


def table_of(size: int) -> str:
    """At least so many bytes: short decimals, a column of whole numbers, and one of all digits."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(1000, len(NAMES))).round(2), columns=NAMES)
    table[NAMES[3]] = rng.integers(-10, 10, 1000)
    table[NAMES[7]] = rng.uniform(size=1000)
    header, _, rows = table.to_csv(index=False).partition("\n")
    return f"{header}\n{rows * (size // len(rows) + 1)}"


@pytest.fixture(scope="module")
def estimator() -> Any:
    samples = pd.read_csv(io.StringIO(table_of(1)))
    return make_pipeline(StandardScaler(), LinearRegression()).fit(samples, samples.sum(axis=1) ** 2)


@pytest.fixture(scope="module")
def all_servers(estimator: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder: Path = tmp_path_factory.mktemp("large")
    (folder / "model").mkdir()
    (folder / "model" / "model.pkl").write_bytes(pickle.dumps(estimator))
    arguments = ("--code-dir", folder / "model", "--target-type", "regression")
    with running_servers(folder, *arguments, server_types=FRAMEWORKS) as servers:
        yield servers


@each_case(
    ("size", "last"),
    [
        pytest.param(SIZES["one block"], ROW, id="one block, no line end"),
        pytest.param(SIZES["blocks in memory"], "", id="blocks in memory, a line end"),
        pytest.param(SIZES["blocks on disk"], ROW, id="blocks on disk, no line end"),
    ],
)
def test_large_tables_are_predicted_as_in_process(all_servers: Servers, estimator: Any, size: int, last: str) -> None:
    body = table_of(size) + last
    wanted = estimator.predict(pd.read_csv(io.StringIO(body), low_memory=False, **EXACT_FLOATS)).tolist()
    response = assert_same_response(all_servers, "POST", "/predict/", content=body.encode(), headers=CSV)
    assert response.status == 200
    assert json.loads(response.body) == {"predictions": wanted}


@each_case(("odd", "shown"), [("", "nan"), ("text", "'text'")], ids=["gap", "text"])
def test_an_invalid_cell_at_the_end_is_rejected(all_servers: Servers, estimator: Any, odd: str, shown: str) -> None:
    body = table_of(SIZES["blocks on disk"]) + ",".join([odd, *"1" * 19])
    with pytest.raises(ValueError, match=r"NaN|convert"):
        estimator.predict(pd.read_csv(io.StringIO(body), low_memory=False, **EXACT_FLOATS))
    response = assert_same_response(all_servers, "POST", "/predict/", content=body.encode(), headers=CSV)
    assert response.status == 422
    row = len(body.splitlines()) - 1
    assert f"column 0 (row {row}: {shown})" in json.loads(response.body)["message"]
