"""Any tensors, in process: a response or a 400, and the same numbers as from csv."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.drum.exceptions import BadRequest, RequestError
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.error_formats import ErrorFormat
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.v2.datatypes import DATATYPES
from datarobot_drum.drum.serving.v2.json_messages import parse_request
from datarobot_drum.drum.serving.v2.messages import InferenceRequest, OutputTensor, TensorHead
from datarobot_drum.drum.serving.v2.results import _column
from datarobot_drum.drum.serving.v2.tensors import from_raw, from_values, to_raw
from datarobot_drum.drum.settings.limits import UNLIMITED
from tests.api.models import write_artifact
from tests.cases import each_case

NAMES = ("a", "b")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PredictionServer]:
    from sklearn.linear_model import LinearRegression

    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(50, 2)), columns=list(NAMES))
    folder: Path = write_artifact(
        tmp_path_factory.mktemp("in_process") / "model", LinearRegression().fit(frame, frame["a"] * 3 + frame["b"] / 7)
    )
    server = PredictionServer({"code_dir": str(folder), "target_type": "regression"})
    server.materialize()
    yield server
    server.close()


def infer(server: PredictionServer, content: bytes, **headers: str) -> ModelResponse:
    assert server.core.v2 is not None
    request = ModelRequest(
        method="POST",
        headers=Headers((name.replace("_", "-"), value) for name, value in headers.items()),
        body=SpooledUploadFile.from_bytes(content),
        path_values={"name": "model"},
    )
    try:
        return server.core.v2.do_predict_v2(request)
    except RequestError as error:
        return error_response(error, ErrorFormat.V2)


def document_of(response: ModelResponse) -> Any:
    assert isinstance(response.content, bytes)
    return json.loads(response.content)


FLOATS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100)
ROWS = st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=5)


@given(rows=ROWS)
def test_every_style_gives_the_numbers_of_csv(server: PredictionServer, rows: list[tuple[float, float]]) -> None:
    frame = pd.DataFrame(rows, columns=list(NAMES))
    csv = ModelRequest("POST", body=SpooledUploadFile.from_bytes(frame.to_csv(index=False).encode()))
    expected = document_of(server.core.handlers.do_predict_structured(csv))["predictions"]
    columns = [{"name": name, "datatype": "FP64", "shape": [len(rows)], "data": frame[name].tolist()} for name in NAMES]
    matrix = {"name": "input-0", "datatype": "FP64", "shape": [len(rows), 2]}
    raw = frame.to_numpy(dtype="<f8").tobytes()
    head = json.dumps({"inputs": [{**matrix, "parameters": {"binary_data_size": len(raw)}}]}).encode()
    responses = [
        infer(server, json.dumps({"inputs": columns[::-1]}).encode()),
        infer(server, json.dumps({"inputs": [{**matrix, "data": [list(row) for row in rows]}]}).encode()),
        infer(server, head + raw, Inference_Header_Content_Length=str(len(head))),
    ]
    for response in responses:
        assert response.status == 200, response.content
        assert document_of(response)["outputs"][0]["data"] == expected


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)
TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from([*NAMES, "input-0", "c", ""]) | VALUES,
        "datatype": st.sampled_from([*DATATYPES, "FLOAT"]) | VALUES,
        "shape": st.lists(st.integers(-1, 3), max_size=3) | VALUES,
        "data": st.lists(VALUES, max_size=4) | VALUES,
        "parameters": st.dictionaries(
            st.sampled_from(["content_type", "binary_data_size", "x"]), VALUES | st.sampled_from(["pd", "pd_json"])
        ),
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"id": VALUES, "inputs": st.lists(TENSORS, max_size=3) | VALUES, "outputs": VALUES, "x": VALUES}
)


@given(document=DOCUMENTS, rest=st.binary(max_size=20))
def test_any_document_is_answered_or_explained(server: PredictionServer, document: Any, rest: bytes) -> None:
    head = json.dumps(document).encode()
    for response in (
        infer(server, head),
        infer(server, head + rest, Inference_Header_Content_Length=str(len(head))),
        infer(server, head[:-1] + rest),
    ):
        assert response.status in (200, 400), response.content
        assert (
            "outputs" in document_of(response) if response.status == 200 else list(document_of(response)) == ["error"]
        )


def head(datatype: str, *shape: int, **parameters: Any) -> TensorHead:
    return TensorHead("x", datatype, shape, parameters)


@each_case("datatype", [name for name in DATATYPES if name not in ("BYTES", "BOOL", "BF16")])
def test_raw_and_plain_values_are_the_same(datatype: str) -> None:
    values = [0, 1, 100]
    raw = np.array(values, dtype=np.dtype(from_layout(datatype))).tobytes()
    read, plain = from_raw(head(datatype, 3), memoryview(raw)).cells, from_values(head(datatype, 3), values).cells
    assert read.tolist() == plain.tolist() == values
    assert read.dtype == plain.dtype


def from_layout(datatype: str) -> Any:
    from datarobot_drum.drum.serving.v2.datatypes import NUMBER_TYPES

    return NUMBER_TYPES[datatype].layout


def test_half_precision_of_the_brain_kind() -> None:
    assert from_raw(head("BF16", 2), memoryview(b"\x80\x3f\x20\xc0")).cells.tolist() == [1.0, -2.5]


def test_large_unsigned_integers_are_exact() -> None:
    assert from_values(head("UINT64", 1), [2**64 - 1]).cells.tolist() == [2**64 - 1]


def test_texts_survive_a_way_through_bytes() -> None:
    cells = np.array(["a", None, "Åß\0"], dtype=object)
    raw = to_raw(OutputTensor("x", "BYTES", (3, 1), cells))
    assert raw.startswith(struct.pack("<I", 1) + b"a" + struct.pack("<I", 0))
    assert from_raw(head("BYTES", 3), memoryview(raw)).cells.tolist() == cells.tolist()


@each_case(
    ("raw", "text"),
    [
        (b"\5\0\0\0abc", "ends within value 0"),
        (b"\1\0\0\0a", "has 1 values"),
        (b"\0\0\0\0" * 3, "more than the 2 values"),
        (b"\1\0\0\0\xff\0\0\0\0", "no UTF-8"),
        (b"\1\0", "ends within value 0"),
    ],
)
def test_broken_texts_are_explained(raw: bytes, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        from_raw(head("BYTES", 2), memoryview(raw))


@each_case(
    ("series", "datatype", "cells"),
    [
        (pd.Series([1, 2]), "INT64", [1, 2]),
        (pd.Series([1.5, None]), "FP64", [1.5, None]),
        (pd.Series([True, False]), "BOOL", [True, False]),
        (pd.Series(["a", None]), "BYTES", ["a", None]),
        (pd.Series([1, None], dtype="Int64"), "FP64", [1.0, None]),
        (pd.Series([{"a": 1}, [2]]), "BYTES", ['{"a":1}', "[2]"]),
    ],
)
def test_columns_become_outputs(series: Any, datatype: str, cells: list[Any]) -> None:
    output = _column("x", series)
    assert output.datatype == datatype
    found = output.cells.tolist()
    assert [None if cell != cell else cell for cell in found] == cells


def test_nested_lists_count_as_items_and_values_do_not() -> None:
    from dataclasses import replace

    limits = replace(UNLIMITED, max_json_items=10)
    tensor = {"name": "a", "datatype": "INT64", "shape": [20, 1], "data": list(range(20))}
    request = parse_request(json.dumps({"inputs": [tensor]}).encode(), None, limits)
    assert isinstance(request, InferenceRequest)
    nested = {**tensor, "data": [[value] for value in range(20)]}
    with pytest.raises(RequestError, match="DRUM_MAX_JSON_KEYS"):
        parse_request(json.dumps({"inputs": [nested]}).encode(), None, limits)
