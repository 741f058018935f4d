"""Plain HTTP by ``requests``: every format of rows in, every format of predictions out."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import requests

from tests.conformance_clients.checks import Checks, NotSupported, Target

CHECKS = Checks(("requests",))

JSON, CSV, ARROW = "application/json", "text/csv", "application/vnd.apache.arrow.stream"


def _post(url: str, body: Any = None, media_type: str = "", accept: str = "", files: Any = None) -> requests.Response:
    wanted = {"Content-Type": media_type, "Accept": accept}
    headers = {name: value for name, value in wanted.items() if value}
    with requests.Session() as session:
        session.trust_env = False
        response = session.post(url, data=body, headers=headers, files=files, timeout=60)
    assert response.status_code == 200, f"{response.status_code}: {response.text}"
    return response


def _ordered(target: Target, prediction: Mapping[str, Any]) -> list[float]:
    return [float(prediction[label]) for label in target.labels]


def _json_prediction(target: Target, response: requests.Response) -> list[float]:
    (prediction,) = response.json()["predictions"]
    return _ordered(target, prediction)


def _predict_json(target: Target, document: Any, route: str = "/predict/") -> list[float]:
    return _json_prediction(target, _post(target.url + route, json.dumps(document), JSON))


def _csv_text(target: Target) -> str:
    """Return the row as csv, with as many digits as 64-bit floats need."""
    return "\n".join([",".join(target.row), ",".join(map(repr, target.row.values()))]) + "\n"


def _lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def _record_batch(target: Target) -> Any:
    import pyarrow

    return pyarrow.RecordBatch.from_pylist([dict(target.row)])


def _arrow(target: Target) -> bytes:
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    batch = _record_batch(target)
    with pyarrow.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _parquet(target: Target) -> bytes:
    import pyarrow
    import pyarrow.parquet

    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_batches([_record_batch(target)]), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _from_arrow(target: Target, content: bytes) -> list[float]:
    import pyarrow

    (prediction,) = pyarrow.ipc.open_stream(content).read_all().to_pylist()
    return _ordered(target, prediction)


@CHECKS.add("`/predict/`: csv", "csv")
def csv_body(target: Target) -> Any:
    return _json_prediction(target, _post(f"{target.url}/predict/", _csv_text(target), CSV))


@CHECKS.add("`/predict/`: csv as the form part `X`", "csv in a form")
def csv_form(target: Target) -> Any:
    return _json_prediction(target, _post(f"{target.url}/predict/", files={"X": ("rows.csv", _csv_text(target))}))


@CHECKS.add("`/predict/`: csv in, csv out (`Accept: text/csv`)", "csv in and out")
def csv_response(target: Target) -> Any:
    (line,) = _lines(_post(f"{target.url}/predict/", _csv_text(target), CSV, CSV).text)
    return _ordered(target, line)


@CHECKS.add("`/predict/`: Matrix Market (sparse rows)")
def matrix_market(target: Target) -> Any:
    cells = [f"1 {number} {cell!r}" for number, cell in enumerate(target.row.values(), start=1)]
    size = f"1 {len(cells)} {len(cells)}"
    body = "\n".join(["%%MatrixMarket matrix coordinate real general", size, *cells, ""])
    try:
        return _json_prediction(target, _post(f"{target.url}/predict/", body, "text/mtx"))
    except AssertionError as error:
        assert "Cannot center sparse matrices" in str(error), error
        raise NotSupported("the scaler of this model takes no sparse rows; the format is read") from error


@CHECKS.add("`/predict/`: JSON, a list of records", "JSON records")
def json_records(target: Target) -> Any:
    return _predict_json(target, [target.row])


@CHECKS.add("`/predict/`: JSON, a list of rows", "JSON rows")
def json_rows(target: Target) -> Any:
    return _predict_json(target, [list(target.row.values())])


@CHECKS.add("`/predict/`: JSON, an object of columns", "JSON columns")
def json_columns(target: Target) -> Any:
    return _predict_json(target, {name: [cell] for name, cell in target.row.items()})


@CHECKS.add("`/predict/`: JSON, split as pandas writes it", "JSON split")
def json_split(target: Target) -> Any:
    return _predict_json(target, {"columns": list(target.row), "index": [0], "data": [list(target.row.values())]})


@CHECKS.add("`/invocations`: JSON `instances` (TensorFlow Serving, Vertex)", "JSON `instances`")
def json_instances(target: Target) -> Any:
    return _predict_json(target, {"instances": [target.row]}, "/invocations")


@CHECKS.add("`/invocations`: JSON `inputs` (TensorFlow Serving, MLflow)", "JSON `inputs`")
def json_inputs(target: Target) -> Any:
    return _predict_json(target, {"inputs": {name: [cell] for name, cell in target.row.items()}}, "/invocations")


@CHECKS.add("`/invocations`: JSON `dataframe_split` (MLflow)", "JSON `dataframe_split`")
def json_dataframe_split(target: Target) -> Any:
    split = {"columns": list(target.row), "data": [list(target.row.values())]}
    return _predict_json(target, {"dataframe_split": split}, "/invocations")


@CHECKS.add("`/invocations`: JSON `dataframe_records` (MLflow)", "JSON `dataframe_records`")
def json_dataframe_records(target: Target) -> Any:
    return _predict_json(target, {"dataframe_records": [target.row]}, "/invocations")


@CHECKS.add("`/predict/`: JSON lines in and out", "JSON lines in and out")
def json_lines(target: Target) -> Any:
    response = _post(f"{target.url}/predict/", json.dumps(target.row), "application/x-ndjson", "application/x-ndjson")
    return _ordered(target, json.loads(response.text)["prediction"])


@CHECKS.add("`/predict/`: an Arrow stream in and out", "Arrow in and out")
def arrow(target: Target) -> Any:
    return _from_arrow(target, _post(f"{target.url}/predict/", _arrow(target), ARROW, ARROW).content)


@CHECKS.add("`/predict/`: Parquet", "Parquet")
def parquet(target: Target) -> Any:
    response = _post(f"{target.url}/predict/", _parquet(target), "application/vnd.apache.parquet")
    return _json_prediction(target, response)


@CHECKS.add("`/predictionsStream/`: csv in, JSON document out", "stream, JSON")
def stream_document(target: Target) -> Any:
    return _json_prediction(target, _post(f"{target.url}/predictionsStream/", _csv_text(target), CSV))


@CHECKS.add("`/predictionsStream/`: csv in and out", "stream, csv")
def stream_csv(target: Target) -> Any:
    (line,) = _lines(_post(f"{target.url}/predictionsStream/", _csv_text(target), CSV, CSV).text)
    return _ordered(target, line)


@CHECKS.add("`/predictionsStream/`: csv in, server-sent events out", "stream, events")
def stream_events(target: Target) -> Any:
    response = _post(f"{target.url}/predictionsStream/", _csv_text(target), CSV, "text/event-stream")
    event, done = (event.removeprefix("data: ") for event in response.text.strip().split("\n\n"))
    assert done == "[DONE]"
    (prediction,) = json.loads(event)["predictions"]
    return _ordered(target, prediction)


@CHECKS.add("`/predictionsStream/`: Arrow in and out", "stream, Arrow")
def stream_arrow(target: Target) -> Any:
    return _from_arrow(target, _post(f"{target.url}/predictionsStream/", _arrow(target), ARROW, ARROW).content)
