"""``/transform/``: samples and their target in, a form out, the same from every server (http-api.md section 6)."""

import gzip
import io
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.io import mmread

from tests.api.answers import Answer, ask_all, the_one
from tests.api.models import write_code
from tests.api.test_forms import MISSING
from tests.api.test_payloads import message
from tests.api.transform_models import HOOK
from tests.api.trios import Trio, running_trio
from tests.multipart_answers import Part, read_form

pytestmark = pytest.mark.process

ROUTE = "/transform/"
CSV = b"a,b\n1,2\n3,4\n"
MTX = b"%%MatrixMarket matrix coordinate real general\n2 3 2\n1 1 1.5\n2 3 0.1\n"
TARGET = b"t\n10\n20\n"


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    folder = tmp_path_factory.mktemp("transform")
    model = write_code(folder / "model", HOOK)
    with running_trio(folder, "--code-dir", model, "--target-type", "transform") as trio:
        yield trio


def send(trio: Trio, content: bytes = CSV, path: str = ROUTE, **details: Any) -> Answer:
    """The one answer of all servers to a raw body, or to the ``files`` of a form."""
    body = {} if "files" in details else {"content": content}
    return the_one(ask_all(trio, "POST", path, **body, **details))


def form_of(answer: Answer) -> dict[str, Part]:
    assert answer.status == 200, answer.body
    return read_form(answer.body, dict(answer.headers)["content-type"])


def table_of(part: Part) -> pd.DataFrame:
    assert part.media_type == "text/csv"
    return pd.read_csv(io.BytesIO(part.content))


def matrix_of(part: Part) -> Any:
    assert part.media_type == "text/mtx"
    return mmread(io.BytesIO(part.content)).toarray()


def act(action: str) -> bytes:
    return f"action,a\n{action},1\n{action},2\n".encode()


# Dense


@pytest.mark.parametrize(
    "details",
    [
        {"content": CSV},
        {"content": CSV, "headers": {"Content-Type": "text/csv"}},
        {"content": CSV, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": gzip.compress(CSV), "headers": {"Content-Encoding": "gzip"}},
        {"files": {"X": ("x.csv", CSV)}},
        {"files": [("other", b"1"), ("X", ("x", CSV, "text/csv"))]},
    ],
    ids=["no type", "csv", "urlencoded", "gzip", "form", "form with more"],
)
@pytest.mark.parametrize("path", ["/transform", "/transform/", "/invocations"])
def test_samples_without_a_target_come_back_alone(trio: Trio, details: dict[str, Any], path: str) -> None:
    form = form_of(send(trio, path=path, **details))
    assert list(form) == ["X.transformed", "out.format"]
    assert form["X.transformed"].content == b"a,b\n2,4\n6,8\n"
    assert form["out.format"].text == "csv"


@pytest.mark.parametrize("path", [ROUTE, "/invocations/"])
def test_a_target_that_was_sent_comes_back(trio: Trio, path: str) -> None:
    form = form_of(send(trio, path=path, files={"y": ("y.csv", TARGET), "X": ("x.csv", CSV)}))
    assert list(form) == ["X.transformed", "out.format", "y.transformed", "y.format"]
    assert form["y.transformed"].content == b"t\n11\n21\n"
    assert form["y.format"].text == "csv"


def test_a_hook_that_returns_samples_alone_leaves_the_target_as_it_is(trio: Trio) -> None:
    target = 'größe\n"a ""b"""\n""\n'.encode()
    form = form_of(send(trio, files={"X": ("x.csv", act("same")), "y": ("y.csv", target)}))
    assert form["y.transformed"].content == target


def test_an_array_keeps_the_name_of_the_target(trio: Trio) -> None:
    form = form_of(send(trio, files={"X": act("pair"), "y": TARGET}))
    assert form["y.transformed"].content == b"t\n20\n40\n"


def test_what_comes_back_reads_equal(trio: Trio) -> None:
    random = np.random.default_rng(0)
    numbers = random.normal(size=500) * 10.0 ** random.integers(-300, 300, size=500)
    names = ["äöü", "日本, 語", 'quo"te', "two\nlines", " ", "\U0001f600"]
    table = pd.DataFrame({name: np.roll(numbers, place) for place, name in enumerate(names)})
    table = table.mask(random.random(table.shape) < 0.1).assign(action="columns")
    answer = form_of(send(trio, table.to_csv(index=False).encode()))
    pd.testing.assert_frame_equal(table_of(answer["X.transformed"]), table.drop(columns="action"), check_exact=True)


def test_result_may_repeat_column_names(trio: Trio) -> None:
    assert form_of(send(trio, act("twice")))["X.transformed"].content.startswith(b"action,a,action,a\n")


def test_an_array_has_its_places_for_names(trio: Trio) -> None:
    assert form_of(send(trio, act("array")))["X.transformed"].content == b"0\n1\n2\n"


# Sparse


@pytest.mark.parametrize(
    "details",
    [{"headers": {"Content-Type": "text/mtx"}, "content": MTX}, {"files": {"X": ("x.mtx", MTX)}}],
    ids=["raw", "form"],
)
def test_sparse_samples_come_back_sparse(trio: Trio, details: dict[str, Any]) -> None:
    form = form_of(send(trio, **details))
    assert list(form) == ["X.transformed", "out.format", "X.colnames"]
    np.testing.assert_array_equal(matrix_of(form["X.transformed"]), [[3.0, 0, 0], [0, 0, 0.2]])
    assert form["out.format"].text == "sparse"
    assert form["X.colnames"].text == "0\n1\n2"


@pytest.mark.parametrize(("action", "names"), [("sparse", "0"), ("sparse-frame", "größe, 日本\\n")])
def test_dense_samples_may_become_sparse(trio: Trio, action: str, names: str) -> None:
    form = form_of(send(trio, files={"X": act(action), "y": TARGET}))
    assert list(form) == ["X.transformed", "out.format", "X.colnames", "y.transformed", "y.format"]
    np.testing.assert_array_equal(matrix_of(form["X.transformed"]), [[1.0], [2.0]])
    assert form["X.colnames"].text == names
    assert form["y.transformed"].content == TARGET


# Errors


@pytest.mark.parametrize(
    ("details", "text"),
    [
        ({"content": b""}, "the body is empty"),
        ({"content": b"a,b\n"}, "no data rows"),
        ({"content": b"a\n1,2\n3,4\n"}, "could not be read"),
        ({"content": b"nonsense", "headers": {"Content-Type": "text/mtx"}}, "Matrix Market"),
        ({"content": b"{}", "headers": {"Content-Type": "application/json"}}, "JSON input is not supported"),
        ({"files": {"y": TARGET}}, MISSING),
        ({"files": [("X", CSV), ("X", CSV)]}, "2 parts named `X`"),
        ({"files": [("X", CSV), ("y", TARGET), ("y", TARGET)]}, "2 parts named `y`"),
        ({"files": {"X": CSV, "y": ("y.csv", b"")}}, "the form part `y` is empty"),
        ({"files": {"X": CSV, "y": b"t\n"}}, "the target `y` cannot be read"),
        ({"files": {"X": CSV, "y": b"t\n1\n"}}, "the target `y` has 1 rows for 2 rows of `x`"),
        ({"files": {"X": CSV, "y": ("y", b"[1, 2]", "application/json")}}, "JSON input is not supported"),
    ],
)
def test_input_that_cannot_be_transformed_is_unprocessable(trio: Trio, details: dict[str, Any], text: str) -> None:
    answer = send(trio, **details)
    assert answer.status == 422
    assert text.lower() in message(answer).lower()


def test_a_broken_form_is_a_bad_request(trio: Trio) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert send(trio, b'--b\r\nContent-Disposition: form-data; name="X"\r\n\r\na', headers=headers).status == 400


@pytest.mark.parametrize(
    ("action", "text"),
    [
        ("short", "returned 1 rows of X for 2 rows of input"),
        ("short-y", "returned 1 rows of y for 2 rows of input"),
        ("none", "returned None as X"),
        ("triple", "tuple of 3"),
        ("text", "returned a str as X"),
        ("raise", "ValueError: the model said no"),
    ],
)
def test_a_hook_that_fails_is_an_error_of_the_model(trio: Trio, action: str, text: str) -> None:
    answer = send(trio, files={"X": act(action), "y": TARGET})
    assert (answer.status, dict(answer.headers)["content-type"]) == (500, "application/json")
    assert text in message(answer)


def test_model_code_may_choose_its_answer(trio: Trio) -> None:
    answer = send(trio, act("teapot"))
    assert (answer.status, dict(answer.headers)["x-drum-user-http-error"]) == (418, "true")
    assert json.loads(answer.body) == {"message": "short and stout"}


# Other routes


@pytest.mark.parametrize(
    "path", ["/predict/", "/predictions", "/predictionsStream/", "/predictUnstructured/", "/predictionsUnstructured"]
)
def test_a_prediction_route_names_the_right_one(trio: Trio, path: str) -> None:
    for details in ({"content": CSV}, {"files": {"X": CSV, "y": TARGET}}):
        answer = send(trio, path=path, **details)
        assert answer.status == 422
        assert message(answer).endswith("This route does not serve transform models: use /transform/.")


@pytest.mark.parametrize("details", [{"content": CSV}, {"files": {"X": CSV, "y": TARGET}}], ids=["raw", "form"])
def test_another_kind_of_model_names_its_own(echo_trio: Trio, details: dict[str, Any]) -> None:
    answer = send(echo_trio, **details)
    assert answer.status == 422
    assert message(answer).endswith("This route does not serve regression models: use /predict/.")


def test_it_says_what_it_reads(trio: Trio) -> None:
    answer = the_one(ask_all(trio, "GET", "/capabilities/"))
    formats = {"csv": version("pandas"), "mtx": version("scipy")}
    assert json.loads(answer.body) == {"supported_payload_formats": formats, "supported_methods": {"chat": False}}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_it_is_posted_to(trio: Trio, method: str) -> None:
    answer = the_one(ask_all(trio, method, ROUTE))
    assert (answer.status, dict(answer.headers)["allow"]) == (405, "POST")


def test_it_neither_chats_nor_lists_models(trio: Trio) -> None:
    assert the_one(ask_all(trio, "GET", "/models")).status == 404
    assert the_one(ask_all(trio, "POST", "/chat/completions", json={"messages": []})).status == 404


def test_large_samples_are_transformed(trio: Trio) -> None:
    samples = b"action,b\n" + b"same,%s\n" % (b"x" * 11_000) * 1000
    for server in trio.values():
        response = server.client.post(ROUTE, files={"X": ("x.csv", samples)})
        assert read_form(response.content, response.headers["content-type"])["X.transformed"].content == samples
