"""Requests over a limit of their contents: the same status and message, with the parameter, on every server."""

import gzip
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.api.all_servers import FRAMEWORKS, Servers, running_servers
from tests.api.models import write_code
from tests.api.responses import assert_same_response
from tests.cases import each_case
from tests.processes import RunningServer

pytestmark = pytest.mark.process

MODEL = """
import pandas as pd


def load_model(code_dir):
    return "model"


def score(data, model, target_name, **kwargs):
    if "fail" in data:
        raise ValueError(data["fail"].iloc[0])
    return pd.DataFrame({target_name: [f"{data.shape[1]} columns"] * len(data)})


def chat(params, model, **kwargs):
    return {"choices": [], "model": "m"}
"""
MIB = 1024 * 1024
BOUNDARY = "limits"
MTX = b"%%MatrixMarket matrix coordinate real general\n"
Build = Callable[[], dict[str, Any]]
"""Bodies are large, so only their own tests make them."""
ANY_FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("limits")
    model = write_code(folder / "model", MODEL)
    # The defaults of these two depend on the server.
    environment = {"TARGET_NAME": "text", "DRUM_MAX_ROWS": "1000000", "DRUM_MAX_DECODED_SIZE": "40MB"}
    with running_servers(
        folder, "--code-dir", model, "--target-type", "textgeneration", environment=environment, server_types=FRAMEWORKS
    ) as servers:
        yield servers


@pytest.fixture(params=FRAMEWORKS)
def server_type(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def zipped(content: bytes) -> dict[str, Any]:
    return {
        "content": gzip.compress(content, 1 if len(content) > 40 * MIB else 9),
        "headers": {"Content-Type": "text/csv", "Content-Encoding": "gzip"},
    }


def csv(content: bytes) -> dict[str, Any]:
    return {"content": content, "headers": {"Content-Type": "text/csv"}}


def mtx(content: bytes) -> dict[str, Any]:
    return {"content": MTX + content, "headers": {"Content-Type": "text/mtx"}}


def form(*headers: str) -> dict[str, Any]:
    """A form with a part for each of the header blocks."""
    parts = "".join(f"--{BOUNDARY}\r\n{block}\r\n\r\na\n1\n\r\n" for block in headers)
    return {"content": f"{parts}--{BOUNDARY}--\r\n".encode(), "headers": ANY_FORM}


def wide(columns: int, name: str = "") -> bytes:
    header = ",".join(name or f"c{number}" for number in range(columns))
    return f"{header}\n{','.join('1' * columns)}\n".encode()


def part(name: str, *more: str) -> str:
    return "\r\n".join([f'Content-Disposition: form-data; name="{name}"', *more])


OVER: dict[str, tuple[Build, int, str]] = {
    "ratio": (lambda: zipped(b"a\n" + b"1\n" * (15 * MIB)), 413, "DRUM_MAX_COMPRESSION_RATIO"),
    "ratio of a huge cell": (lambda: zipped(b"a\n" + b"x" * (20 * MIB)), 413, "DRUM_MAX_COMPRESSION_RATIO"),
    "decoded size": (lambda: zipped(os.urandom(40_000) * 1100), 413, "DRUM_MAX_DECODED_SIZE"),
    "rows": (lambda: csv(b"a\n" + b"1\n" * 1_000_001), 422, "DRUM_MAX_ROWS"),
    "numeric rows of a large body": (lambda: csv(b"a\n" + b"1234567\n" * 1_100_000), 422, "DRUM_MAX_ROWS"),
    "columns": (lambda: csv(wide(100_000)), 422, "DRUM_MAX_COLUMNS"),
    "equal columns": (lambda: csv(wide(400_000, "a")), 422, "DRUM_MAX_COLUMNS"),
    "zipped columns": (lambda: zipped(wide(1_000_000)), 422, "DRUM_MAX_COLUMNS"),
    "quoted columns": (lambda: csv(b'"\n",' + wide(60_000)), 422, "DRUM_MAX_COLUMNS"),
    "columns of the first row": (lambda: csv(b"a\n" + b"x," * 100_000 + b"\n"), 422, "DRUM_MAX_COLUMNS"),
    "cell": (lambda: csv(b"a\n" + b"x" * (10 * MIB + 1) + b"\n"), 422, "DRUM_MAX_CELL_SIZE"),
    "header": (lambda: csv(b"x" * (11 * MIB) + b"\n1\n"), 422, "DRUM_MAX_CELL_SIZE"),
    "declared columns": (lambda: mtx(b"1 1000000 1\n1 1 1.0\n"), 422, "DRUM_MAX_COLUMNS"),
    "declared columns of a matrix": (lambda: mtx(b"1 2000000 1\n1 1 1.0\n"), 422, "DRUM_MAX_MATRIX_COLUMNS"),
    "declared rows": (lambda: mtx(b"1000000 1 1\n1 1 1.0\n"), 422, "DRUM_MAX_EMPTY_ROWS"),
    "rows of a matrix": (lambda: mtx(b"1000001 1 100000\n" + b"1 1 1\n" * 100_000), 422, "DRUM_MAX_ROWS"),
    "comments": (lambda: mtx(b"%\n" * 40_000 + b"1 1 1\n1 1 1.0\n"), 422, "DRUM_MAX_MATRIX_COMMENTS"),
    "parts": (lambda: form(*[part("X")] * 101), 413, "DRUM_MAX_FORM_PARTS"),
    "headers of a part": (lambda: form(part("X", *["A: b"] * 16)), 431, "DRUM_MAX_FORM_HEADERS"),
    "long header of a part": (lambda: form(part("X", "A: " + "b" * 17_000)), 431, "DRUM_MAX_FORM_HEADER_SIZE"),
}


@each_case(("request_over_limit", "status", "parameter"), OVER.values(), ids=OVER)
def test_request_over_a_limit_is_rejected(
    all_servers: Servers, request_over_limit: Build, status: int, parameter: str
) -> None:
    response = assert_same_response(all_servers, "POST", "/predict/", **request_over_limit())
    assert response.status == status
    assert json.loads(response.body)["message"].count(f"({parameter})") == 1


WITHIN: dict[str, Build] = {
    "wide": lambda: csv(wide(12_000)),
    "equal columns": lambda: csv(wide(12_000, "a")),
    "compressed": lambda: zipped(b"a,b\n" + b"1,x\n" * 50_000),
    "form": lambda: form(part("other"), part("X", "Content-Type: text/csv", "A: b"), part("third")),
    "matrix": lambda: mtx(b"1000 1000 1\n1 1 1.0\n"),
    "comments": lambda: mtx(b"% " + b"x" * 60_000 + b"\n1 1 1\n1 1 1.0\n"),
    "cell": lambda: csv(b"a\n" + b"x" * MIB + b"\n"),
}


@each_case("request_within_limits", WITHIN.values(), ids=WITHIN)
def test_request_within_the_limits_is_served(all_servers: Servers, request_within_limits: Build) -> None:
    assert assert_same_response(all_servers, "POST", "/predict/", **request_within_limits()).status == 200


@each_case(
    ("value", "parameter"),
    [
        ("[" * 200, "DRUM_MAX_JSON_DEPTH"),
        ('{"a":' * 200, "DRUM_MAX_JSON_DEPTH"),
        ("[" + "[]," * 200_000 + "0]", "DRUM_MAX_JSON_KEYS"),
        (json.dumps({str(key): key for key in range(100_001)}), "DRUM_MAX_JSON_KEYS"),
    ],
    ids=["lists", "objects", "items", "keys"],
)
def test_chat_over_a_limit_of_json_is_rejected(all_servers: Servers, value: str, parameter: str) -> None:
    body = f'{{"messages": [], "extra": {value}}}'.encode()
    response = assert_same_response(all_servers, "POST", "/chat/completions", content=body)
    document = json.loads(response.body)
    assert (response.status, document["error"]["type"]) == (422, "invalid_request_error")
    assert f"({parameter})" in document["message"]


def test_chat_with_long_messages_is_served(server: RunningServer) -> None:
    messages = [{"role": "user", "content": "[{1: 2}, " * 20_000}] * 20
    assert server.client.post("/chat/completions", json={"messages": messages}).status_code == 200


def test_stream_over_a_limit_is_rejected(all_servers: Servers) -> None:
    response = assert_same_response(all_servers, "POST", "/predictionsStream/", **csv(wide(60_000)))
    assert response.status == 422 and b"(DRUM_MAX_COLUMNS)" in response.body


def test_log_holds_no_whole_cell(server: RunningServer) -> None:
    before = len(server.log())
    assert server.client.post("/predict/", **csv(b"fail\n" + b"x" * MIB + b"\n")).status_code == 500
    assert 0 < len(server.log()) - before < 20_000
