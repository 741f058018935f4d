"""All three servers read columns by the types of the model, alone and together."""

import json
import pickle
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeRegressor

from tests.api.all_servers import running_servers
from tests.processes import RunningServer

pytestmark = pytest.mark.process

TABLE = pd.DataFrame(
    {
        "country": ["NA", "DE", "NA", "DE"],
        "zip": ["01", "1", "10", "010"],
        "day": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"]),
        "review": ["good 12", "bad", "12", "good"],
        "unused": [1, 2, 3, 4],
    }
)
TARGET = [100.0, 37.0, 5.0, 1.0]


def fitted() -> object:
    columns = ColumnTransformer(
        [
            ("codes", OneHotEncoder(handle_unknown="ignore"), ["country", "zip"]),
            ("days", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["day"]),
            ("texts", TfidfVectorizer(), "review"),
        ]
    )
    return make_pipeline(columns, DecisionTreeRegressor(random_state=0)).fit(TABLE, TARGET)


def predict(server: RunningServer, path: str, rows: pd.DataFrame) -> list[float]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    with closing(connection):
        connection.request("POST", path, rows.to_csv(index=False).encode(), {"Content-Type": "text/csv"})
        response = connection.getresponse()
        body = response.read()
    assert response.status == 200, body
    predictions: list[float] = json.loads(body)["predictions"]
    return predictions


def test_rows_equal_the_training_on_all_servers(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.pkl").write_bytes(pickle.dumps(fitted()))
    rows = TABLE.drop(columns="unused")
    with running_servers(tmp_path / "logs", "--code-dir", model, "--target-type", "regression") as servers:
        for server in servers.values():
            assert predict(server, "/predict/", rows) == TARGET
            assert predict(server, "/predictionsStream/", rows) == TARGET
            alone = [predict(server, "/predict/", rows.iloc[[row]])[0] for row in range(len(rows))]
            assert alone == TARGET
