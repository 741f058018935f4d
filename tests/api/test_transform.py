"""``/transform/``: samples and their target in, a form out, the same from every server."""

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.io import mmread

from datarobot_drum.drum.tabular import PayloadFormat
from tests.api.all_servers import FRAMEWORKS, Servers, running_servers
from tests.api.models import write_code
from tests.api.responses import Response, assert_same_response
from tests.api.test_forms import MISSING
from tests.api.test_payloads import message
from tests.api.transform_models import HOOK
from tests.cases import each_case
from tests.multipart_responses import Part, parse_form

pytestmark = pytest.mark.process

ROUTE = "/transform/"
CSV = b"a,b\n1,2\n3,4\n"
MTX = b"%%MatrixMarket matrix coordinate real general\n2 3 2\n1 1 1.5\n2 3 0.1\n"
TARGET = b"t\n10\n20\n"


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("transform")
    model = write_code(folder / "model", HOOK)
    with running_servers(folder, "--code-dir", model, "--target-type", "transform", server_types=FRAMEWORKS) as servers:
        yield servers


def send(all_servers: Servers, content: bytes = CSV, path: str = ROUTE, **details: Any) -> Response:
    """Send a raw body or the ``files`` of a form; return the response of all servers."""
    body = {} if "files" in details else {"content": content}
    return assert_same_response(all_servers, "POST", path, **body, **details)


def form_of(response: Response) -> dict[str, Part]:
    assert response.status == 200, response.body
    return parse_form(response.body, dict(response.headers)["content-type"])


def table_of(part: Part) -> pd.DataFrame:
    assert part.media_type == "text/csv"
    return pd.read_csv(io.BytesIO(part.content))


def matrix_of(part: Part) -> Any:
    assert part.media_type == "text/mtx"
    return mmread(io.BytesIO(part.content)).toarray()


def act(action: str) -> bytes:
    return f"action,a\n{action},1\n{action},2\n".encode()


# Dense


@each_case(
    ("path", "details"),
    [
        ("/transform", {"content": CSV}),
        ("/transform/", {"content": CSV, "headers": {"Content-Type": "text/csv"}}),
        ("/transform/", {"content": CSV, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
        ("/transform/", {"content": gzip.compress(CSV), "headers": {"Content-Encoding": "gzip"}}),
        ("/transform", {"files": {"X": ("x.csv", CSV)}}),
        ("/transform/", {"files": [("other", b"1"), ("X", ("x", CSV, "text/csv"))]}),
        ("/invocations", {"content": CSV}),
        ("/invocations", {"files": {"X": ("x.csv", CSV)}}),
    ],
    ids=["no type", "csv", "urlencoded", "gzip", "form", "form with more", "invocations", "form to invocations"],
)
def test_samples_without_a_target_are_returned_alone(all_servers: Servers, path: str, details: dict[str, Any]) -> None:
    form = form_of(send(all_servers, path=path, **details))
    assert list(form) == ["X.transformed", "out.format"]
    assert form["X.transformed"].content == b"a,b\n2,4\n6,8\n"
    assert form["out.format"].text == "csv"


@each_case("path", [ROUTE, "/invocations/"])
def test_a_target_is_returned(all_servers: Servers, path: str) -> None:
    form = form_of(send(all_servers, path=path, files={"y": ("y.csv", TARGET), "X": ("x.csv", CSV)}))
    assert list(form) == ["X.transformed", "out.format", "y.transformed", "y.format"]
    assert form["y.transformed"].content == b"t\n11\n21\n"
    assert form["y.format"].text == "csv"


def test_a_hook_that_returns_only_samples_keeps_the_target(all_servers: Servers) -> None:
    target = 'größe\n"a ""b"""\n""\n'.encode()
    form = form_of(send(all_servers, files={"X": ("x.csv", act("same")), "y": ("y.csv", target)}))
    assert form["y.transformed"].content == target


def test_an_array_keeps_the_name_of_the_target(all_servers: Servers) -> None:
    form = form_of(send(all_servers, files={"X": act("pair"), "y": TARGET}))
    assert form["y.transformed"].content == b"t\n20\n40\n"


def test_the_returned_csv_keeps_values_and_names(all_servers: Servers) -> None:
    random = np.random.default_rng(0)
    numbers = random.normal(size=500) * 10.0 ** random.integers(-300, 300, size=500)
    names = ["äöü", "日本, 語", 'quo"te', "two\nlines", " ", "\U0001f600"]
    table = pd.DataFrame({name: np.roll(numbers, place) for place, name in enumerate(names)})
    table = table.mask(random.random(table.shape) < 0.1).assign(action="columns")
    response = form_of(send(all_servers, table.to_csv(index=False).encode()))
    pd.testing.assert_frame_equal(table_of(response["X.transformed"]), table.drop(columns="action"), check_exact=True)


def test_column_names_may_repeat(all_servers: Servers) -> None:
    assert form_of(send(all_servers, act("twice")))["X.transformed"].content.startswith(b"action,a,action,a\n")


def test_columns_of_an_array_are_named_by_position(all_servers: Servers) -> None:
    assert form_of(send(all_servers, act("array")))["X.transformed"].content == b"0\n1\n2\n"


# Sparse


@each_case(
    "details",
    [{"headers": {"Content-Type": "text/mtx"}, "content": MTX}, {"files": {"X": ("x.mtx", MTX)}}],
    ids=["raw", "form"],
)
def test_sparse_samples_are_returned_sparse(all_servers: Servers, details: dict[str, Any]) -> None:
    form = form_of(send(all_servers, **details))
    assert list(form) == ["X.transformed", "out.format", "X.colnames"]
    np.testing.assert_array_equal(matrix_of(form["X.transformed"]), [[3.0, 0, 0], [0, 0, 0.2]])
    assert form["out.format"].text == "sparse"
    assert form["X.colnames"].text == "0\n1\n2"


@each_case(("action", "names"), [("sparse", "0"), ("sparse-frame", "größe, 日本\\n")])
def test_dense_samples_may_become_sparse(all_servers: Servers, action: str, names: str) -> None:
    form = form_of(send(all_servers, files={"X": act(action), "y": TARGET}))
    assert list(form) == ["X.transformed", "out.format", "X.colnames", "y.transformed", "y.format"]
    np.testing.assert_array_equal(matrix_of(form["X.transformed"]), [[1.0], [2.0]])
    assert form["X.colnames"].text == names
    assert form["y.transformed"].content == TARGET


# Errors


@each_case(
    ("details", "text"),
    [
        ({"content": b""}, "the body is empty"),
        ({"content": b"a,b\n"}, "no data rows"),
        ({"content": b"nonsense", "headers": {"Content-Type": "text/mtx"}}, "Matrix Market"),
        ({"content": b"{}", "headers": {"Content-Type": "application/json"}}, "the rows of the json have no cells"),
        ({"files": {"y": TARGET}}, MISSING),
        ({"files": [("X", CSV), ("X", CSV)]}, "2 parts named `X`"),
        ({"files": {"X": CSV, "y": ("y.csv", b"")}}, "the form part `y` is empty"),
        ({"files": {"X": CSV, "y": b"t\n1\n"}}, "the target `y` has 1 rows for 2 rows of `x`"),
    ],
)
def test_invalid_input_gets_422(all_servers: Servers, details: dict[str, Any], text: str) -> None:
    response = send(all_servers, **details)
    assert response.status == 422
    assert text.lower() in message(response).lower()


def test_a_malformed_form_gets_400(all_servers: Servers) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert send(all_servers, b'--b\r\nContent-Disposition: form-data; name="X"\r\n\r\na', headers=headers).status == 400


@each_case(
    ("action", "text"),
    [
        ("short", "returned 1 rows of X for 2 rows of input"),
        ("none", "returned None as X"),
        ("raise", "ValueError: the model said no"),
    ],
)
def test_a_failing_hook_gets_500(all_servers: Servers, action: str, text: str) -> None:
    response = send(all_servers, files={"X": act(action), "y": TARGET})
    assert (response.status, dict(response.headers)["content-type"]) == (500, "application/json")
    assert text in message(response)


def test_a_custom_http_error_sets_the_response(all_servers: Servers) -> None:
    response = send(all_servers, act("teapot"))
    assert (response.status, dict(response.headers)["x-drum-user-http-error"]) == (418, "true")
    assert json.loads(response.body) == {"message": "short and stout"}


# Other routes


def test_prediction_routes_name_the_right_route(all_servers: Servers) -> None:
    for path in (
        "/predict/",
        "/predictions",
        "/predictionsStream/",
        "/predictUnstructured/",
        "/predictionsUnstructured",
    ):
        for details in ({"content": CSV}, {"files": {"X": CSV, "y": TARGET}}):
            response = send(all_servers, path=path, **details)
            assert (path, response.status) == (path, 422)
            assert message(response).endswith("This route does not serve transform models: use /transform/.")


@each_case("details", [{"content": CSV}, {"files": {"X": CSV, "y": TARGET}}], ids=["raw", "form"])
def test_other_models_name_their_route(echo_servers: Servers, details: dict[str, Any]) -> None:
    response = send(echo_servers, **details)
    assert response.status == 422
    assert message(response).endswith("This route does not serve regression models: use /predict/.")


def test_capabilities_name_the_formats(all_servers: Servers) -> None:
    response = assert_same_response(all_servers, "GET", "/capabilities/")
    document = json.loads(response.body)
    assert set(document["supported_payload_formats"]) == {payload_format.value for payload_format in PayloadFormat}


@each_case("method", ["GET", "HEAD", "PUT"])
def test_the_route_allows_only_post(all_servers: Servers, method: str) -> None:
    response = assert_same_response(all_servers, method, ROUTE)
    assert (response.status, dict(response.headers)["allow"]) == (405, "POST")


def test_chat_and_models_routes_respond_404(all_servers: Servers) -> None:
    assert assert_same_response(all_servers, "GET", "/models").status == 404
    assert assert_same_response(all_servers, "POST", "/chat/completions", json={"messages": []}).status == 404


def test_large_samples_are_transformed(all_servers: Servers) -> None:
    samples = b"action,b\n" + b"same,%s\n" % (b"x" * 11_000) * 1000
    assert form_of(send(all_servers, files={"X": ("x.csv", samples)}))["X.transformed"].content == samples
