"""MLflow's scoring client."""

from typing import Any
from urllib.parse import urlsplit

import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from tests.conformance_clients.checks import Checks, NotSupported, Target, reject

CHECKS = Checks(("mlflow-skinny",))


def _client(target: Target) -> Any:
    address = urlsplit(target.url)
    return ScoringServerClient(address.hostname, address.port)


def _frame(target: Target) -> pd.DataFrame:
    return pd.DataFrame([dict(target.row)])


def _first(target: Target, response: Any) -> list[float]:
    (prediction,) = response["predictions"]
    return [prediction[label] for label in target.labels]


@CHECKS.add("`ping`, `wait_server_ready`, `get_version`")
def probes(target: Target) -> None:
    client = _client(target)
    client.wait_server_ready(timeout=30)
    client.ping()
    assert client.get_version()


@CHECKS.add("`invoke` with a DataFrame", "MLflow's client, DataFrame")
def frame(target: Target) -> Any:
    return _first(target, _client(target).invoke(_frame(target)))


@CHECKS.add("`invoke` with an array", "MLflow's client, array")
def array(target: Target) -> Any:
    return _first(target, _client(target).invoke(_frame(target).to_numpy()))


@CHECKS.add("`invoke` with a list of records", "MLflow's client, list of records")
def records(target: Target) -> Any:
    return _first(target, _client(target).invoke([dict(target.row)]))


@CHECKS.add("`PredictionsResponse.get_predictions` of the response", "MLflow's client, `get_predictions`")
def predictions(target: Target) -> Any:
    table = _client(target).invoke(_frame(target)).get_predictions()
    return table[list(target.labels)].iloc[0].tolist()


@CHECKS.add("a missing column raises the server's text, with `error_code`")
def missing_column(target: Target) -> None:
    frame = _frame(target).iloc[:, 1:]
    text = reject(lambda: _client(target).invoke(frame), Exception, '"error_code":"BAD_REQUEST"')
    assert next(iter(target.row)) in text


@CHECKS.add("`invoke(params=...)`")
def parameters(target: Target) -> None:
    reject(lambda: _client(target).invoke(_frame(target), params={"temperature": 1}), Exception, "takes no params")
    raise NotSupported("models have no options; 422 that says so")
