"""JSON and Arrow bodies on all servers: rows as in csv, the routes, and the formats that ``Accept`` asks for."""

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeRegressor

from tests.api.all_servers import Servers, running_servers
from tests.api.models import write_artifact
from tests.api.responses import Response, assert_same_response

pytestmark = pytest.mark.process

JSON = "application/json"
LINES = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
ROUTES = ["/predict/", "/predictions/", "/invocations", "/predictionsStream/"]
CODES = ["01", "1", "NA", "true"]


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A pipeline of a text column, whose codes look like numbers, and a number."""
    table = pd.DataFrame({"code": CODES * 10, "x": np.arange(40) / 7})
    encoder = ColumnTransformer([("codes", OneHotEncoder(handle_unknown="ignore"), ["code"])], remainder="passthrough")
    model = make_pipeline(encoder, DecisionTreeRegressor(random_state=0)).fit(table, np.arange(40) ** 1.5)
    folder = tmp_path_factory.mktemp("rows")
    with running_servers(
        folder, "--code-dir", write_artifact(folder / "model", model), "--target-type", "regression"
    ) as servers:
        yield servers


def send(
    all_servers: Servers, body: bytes, media_type: str | None = None, route: str = "/predict/", **headers: str
) -> Response:
    fields = {**headers, **({} if media_type is None else {"Content-Type": media_type})}
    return assert_same_response(all_servers, "POST", route, content=body, headers=fields)


def send_json(all_servers: Servers, document: Any, media_type: str | None = JSON, **details: str) -> Response:
    return send(all_servers, json.dumps(document).encode(), media_type, **details)


def message(response: Response) -> str:
    return str(json.loads(response.body)["message"])


CSV = b"code,x\n01,1.5\n1,2\nNA,0.1\nother,3\n"
ROWS: list[list[Any]] = [["01", 1.5], ["1", 2], ["NA", 0.1], ["other", 3]]
RECORDS = [dict(zip(["code", "x"], row, strict=True)) for row in ROWS]
COLUMNS = {"code": [row[0] for row in ROWS], "x": [row[1] for row in ROWS]}


def arrow_body(codes: list[Any], numbers: list[Any], *, parquet: bool = False) -> bytes:
    table, sink = pa.table({"code": pa.array(codes, pa.string()), "x": pa.array(numbers, pa.float64())}), io.BytesIO()
    if parquet:
        table.to_pandas().to_parquet(sink)
        return sink.getvalue()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue()


def bodies() -> dict[str, tuple[bytes, str | None]]:
    """Return the same rows in every format, by media type or content."""
    documents: dict[str, Any] = {
        "records": RECORDS,
        "rows": ROWS,
        "columns": COLUMNS,
        "split": {"columns": ["x", "code"], "data": [row[::-1] for row in ROWS]},
        "instances": {"instances": RECORDS},
        "inputs": {"inputs": COLUMNS},
        "dataframe_split": {"dataframe_split": {"columns": ["code", "x"], "index": [0, 1, 2, 3], "data": ROWS}},
        "dataframe_records": {"dataframe_records": RECORDS},
        "texts": [{"code": code, "x": str(x)} for code, x in ROWS],
    }
    encoded = {name: json.dumps(document).encode() for name, document in documents.items()}
    lines = b"".join(json.dumps(record).encode() + b"\n" for record in RECORDS)
    return {
        **{name: (body, JSON) for name, body in encoded.items()},
        "without a type": (encoded["records"], None),
        "from curl": (encoded["instances"], "application/x-www-form-urlencoded"),
        "lines": (lines, LINES),
        "lines by content": (lines, JSON),
        "utf-16": (encoded["records"].decode().encode("utf-16"), "application/json; charset=utf-16"),
        "arrow": (arrow_body(COLUMNS["code"], COLUMNS["x"]), ARROW),
        "arrow by content": (arrow_body(COLUMNS["code"], COLUMNS["x"]), "application/octet-stream"),
        "parquet": (arrow_body(COLUMNS["code"], COLUMNS["x"], parquet=True), PARQUET),
    }


BODIES = bodies()


@pytest.mark.parametrize("name", BODIES)
def test_rows_predict_as_in_csv(all_servers: Servers, name: str) -> None:
    expected = send(all_servers, CSV, "text/csv")
    assert expected.status == 200
    assert send(all_servers, *BODIES[name]) == expected


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", ["records", "lines", "arrow", "dataframe_split"])
def test_every_route_reads_every_format(all_servers: Servers, route: str, name: str) -> None:
    body, media_type = BODIES[name]
    assert send(all_servers, body, media_type, route).body == send(all_servers, CSV, "text/csv").body


def test_a_form_part_may_be_json_by_its_name(all_servers: Servers) -> None:
    files = {"X": ("rows.json", BODIES["records"][0])}
    response = assert_same_response(all_servers, "POST", "/predict/", files=files)
    assert response.body == send(all_servers, CSV).body


# Formats of responses


@pytest.mark.parametrize("accept", ["text/csv", LINES, "application/jsonlines", ARROW])
def test_predict_has_the_format_of_the_stream_by_accept(all_servers: Servers, accept: str) -> None:
    response = send(all_servers, CSV, Accept=accept)
    assert dict(response.headers)["content-type"].startswith(accept)
    assert response.body == send(all_servers, CSV, route="/predictionsStream/", Accept=accept).body


@pytest.mark.parametrize("accept", ["*/*", JSON, "text/html", "text/csv;q=0", "application/json, text/csv;q=0.5"])
def test_the_default_stays_json(all_servers: Servers, accept: str) -> None:
    assert send(all_servers, CSV, Accept=accept) == send(all_servers, CSV)


@pytest.mark.parametrize(
    ("accepts", "media_type"),
    [
        (["text/html", "text/csv"], "text/csv"),
        (["text/*;q=0.5, text/csv;q=0.1", "application/json;q=0.3"], JSON),
        (['text/csv; note="a, b"; q=0.5, application/x-ndjson;q=0.4'], "text/csv"),
        (["application/json;q=0", "*/*"], LINES),
    ],
)
def test_accept_fields_are_one_list(all_servers: Servers, accepts: list[str], media_type: str) -> None:
    headers = httpx.Headers([("Content-Type", "text/csv"), *(("Accept", accept) for accept in accepts)])
    response = assert_same_response(all_servers, "POST", "/predict/", content=CSV, headers=headers)
    assert (response.status, dict(response.headers)["content-type"].partition(";")[0]) == (200, media_type)


def test_arrow_goes_in_and_out(all_servers: Servers) -> None:
    response = send(all_servers, *BODIES["arrow"], Accept=ARROW)
    predictions = pa.ipc.open_stream(response.body).read_all()["Predictions"].to_pylist()
    assert predictions == json.loads(send(all_servers, CSV).body)["predictions"]


# Errors


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([{"code": "1"}], "lack 1 of the 2 columns"),
        ([{"code": "1", "x": "text"}], "another type"),
        ([{"code": "1", "x": [1]}], "holds lists"),
        ([{"code": ["1"], "x": 1}], "holds lists"),
        ([[1]], "the model takes 2 columns: code, x"),
        ({"instances": RECORDS, "other": 1}, "'other'"),
        ({"instances": RECORDS, "parameters": {"confidence": 0.5}}, "takes no parameters"),
        ("text", "no table"),
    ],
)
@pytest.mark.parametrize("route", ["/predict/", "/predictionsStream/"])
def test_json_that_does_not_fit_gets_422(all_servers: Servers, route: str, document: Any, text: str) -> None:
    response = send_json(all_servers, document, route=route)
    assert (response.status, text in message(response)) == (422, True), message(response)


@pytest.mark.parametrize("media_type", ["application/xml", "image/png", "application/x-yaml"])
def test_another_media_type_gets_415_with_those_that_are_read(all_servers: Servers, media_type: str) -> None:
    response = send(all_servers, CSV, media_type)
    assert response.status == 415
    assert all(name in message(response) for name in ("text/csv", JSON, ARROW, PARQUET))


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
@pytest.mark.parametrize("body", [CSV, b"PAR1PAR1", BODIES["arrow"][0][:-200], BODIES["parquet"][0][:-9]])
def test_a_corrupt_file_gets_422(all_servers: Servers, media_type: str, body: bytes) -> None:
    assert send(all_servers, body, media_type).status == 422


# Rows alone and together

CELLS = st.tuples(
    st.sampled_from([*CODES, "other", "01 ", "é", "a,b"]),
    st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6)),
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(rows=st.lists(CELLS, min_size=1, max_size=4))
def test_rows_are_the_same_alone_together_and_in_every_format(
    all_servers: Servers, rows: list[tuple[str, Any]]
) -> None:
    records = [{"code": code, "x": x} for code, x in rows]
    together = json.loads(send_json(all_servers, {"instances": records}).body)["predictions"]
    alone = [json.loads(send_json(all_servers, [record]).body)["predictions"][0] for record in records]
    csv = pd.DataFrame(records).to_csv(index=False).encode()
    arrow = arrow_body([code for code, _ in rows], [float(x) for _, x in rows])
    assert together == alone
    assert json.loads(send(all_servers, csv, "text/csv").body)["predictions"] == together
    assert json.loads(send(all_servers, arrow, ARROW).body)["predictions"] == together
