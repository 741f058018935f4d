"""The Flask adapter alone: WSGI input in chunks of any size, and response bodies that the server closes."""

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request
from werkzeug.test import EnvironBuilder, run_wsgi_app

from datarobot_drum.drum.flask.app import build_app
from datarobot_drum.drum.serving.body.spooled_file import SPOOL_MAX_SIZE
from tests.adapters.cores import CoreUnderTest
from tests.cases import each_case


class ChunkedInput(io.RawIOBase):
    """WSGI input that returns at most ``size`` bytes a read, and raises ``error`` at its end."""

    def __init__(self, content: bytes, size: int, error: Exception | None = None) -> None:
        self._content = io.BytesIO(content)
        self._size = size
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._content.read(min(self._size, len(buffer)))
        if not chunk and self._error is not None:
            raise self._error
        buffer[: len(chunk)] = chunk
        return len(chunk)


@pytest.fixture
def parts(tmp_path: Path) -> CoreUnderTest:
    return CoreUnderTest(tmp_path)


@pytest.fixture
def app(parts: CoreUnderTest) -> Flask:
    return build_app(parts.core)


def _environ(path: str = "/predict/", *, body: Any = None, length: int | None = 0, **variables: Any) -> dict[str, Any]:
    """Build a POST request; without a ``length`` it has no Content-Length."""
    environ = EnvironBuilder(path, method="POST").get_environ()
    size = "" if length is None else str(length)
    own = {"CONTENT_TYPE": "text/csv", "CONTENT_LENGTH": size, "wsgi.input": body or io.BytesIO()}
    return {**environ, **own, **variables}


def _send(app: Flask, environ: dict[str, Any]) -> tuple[int, Any]:
    """Return status and document of one request; the response is closed, as a server does."""
    chunks, status, _ = run_wsgi_app(app, environ, buffered=True)
    return int(status[:3]), json.loads(b"".join(chunks))


@each_case(("length", "size"), [(4, 10**6), (1024, 1), (1025, 1000), (1025, 10**6), (70_000, 1000), (70_000, 10**6)])
def test_body_is_the_same_in_chunks_of_any_size(app: Flask, parts: CoreUnderTest, length: int, size: int) -> None:
    environ = _environ(body=ChunkedInput(b"x" * length, size), length=length)
    assert _send(app, environ) == (200, {"predictions": [float(length)]})
    assert parts.left_behind() == {}


def test_body_without_length_is_read_to_the_end_that_the_server_marks(app: Flask, parts: CoreUnderTest) -> None:
    environ = _environ(body=ChunkedInput(b"x" * 50, 7), length=None, HTTP_TRANSFER_ENCODING="chunked")
    assert _send(app, {**environ, "wsgi.input_terminated": True}) == (200, {"predictions": [50.0]})
    assert parts.left_behind() == {}


def test_body_without_length_and_end_is_empty(app: Flask, parts: CoreUnderTest) -> None:
    status, _ = _send(app, _environ(body=ChunkedInput(b"x" * 50, 7), length=None))
    assert status == 422 and parts.left_behind() == {}


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        pytest.param(0, None, id="nothing"),
        pytest.param(100, None, id="in memory"),
        pytest.param(100, ConnectionResetError("gone"), id="reset in memory"),
        pytest.param(5000, ConnectionResetError("gone"), id="reset on disk"),
        pytest.param(5000, TimeoutError("slow"), id="timeout on disk"),
    ],
)
def test_client_that_disconnects_in_upload_leaves_nothing_behind(
    app: Flask, parts: CoreUnderTest, sent: int, error: Exception | None
) -> None:
    status, document = _send(app, _environ(body=ChunkedInput(b"x" * sent, 512, error), length=9000))
    assert 400 <= status < 500 and document["message"].startswith("ERROR: ")
    assert parts.left_behind() == {} and parts.predictor.payloads == []


def test_request_is_in_flight_until_its_response_is_closed(app: Flask, parts: CoreUnderTest) -> None:
    response = _call(app, _environ(body=io.BytesIO(b"x\n1\n"), length=4))
    assert b"".join(response) == b'{"predictions":[4.0]}'
    assert parts.request_log.in_flight == 1
    response.close()  # type: ignore[attr-defined]
    assert parts.left_behind() == {}


def _call(app: Flask, environ: dict[str, Any]) -> Iterable[bytes]:
    return app(environ, lambda status, headers, exc_info=None: lambda data: None)


def test_rejected_call_gets_retry_after_and_closes_its_files(tmp_path: Path) -> None:
    parts = CoreUnderTest(tmp_path, queue_timeout=0)
    app = build_app(parts.core)
    environ = _environ(body=io.BytesIO(b"x" * 5000), length=5000)
    status, document = parts.executor.call(_send, app, environ)
    assert (status, document["error"]) == (503, "SERVICE_UNAVAILABLE")
    assert parts.left_behind() == {} and parts.predictor.payloads == []


def test_unexpected_error_of_own_route_is_a_json_response(parts: CoreUnderTest) -> None:
    app = Flask("mine")

    @app.post("/mine")
    def mine() -> str:
        raise ValueError("my own mistake")

    assert _send(build_app(parts.core, app), _environ("/mine")) == (
        500,
        {"message": "ERROR: ValueError: my own mistake"},
    )
    assert parts.left_behind() == {}


ROWS = b"x" * 3000
"""Beyond the spool size of the core, so a body that is not released stays open as a file."""


def _extended_app(parts: CoreUnderTest, **functions: Callable[..., Any]) -> Flask:
    """Build an app whose extension registers ``functions``, such as ``before_request``."""

    def load_extension(app: Flask) -> bool:
        for name, function in functions.items():
            getattr(app, name)(function)
        return True

    return build_app(parts.with_core(load_extension=load_extension).core)


@each_case(("size", "length"), [(1, 3000), (2999, None), (3000, 3000), (3000, None), (-1, None)])
def test_body_that_an_extension_read_is_predicted(parts: CoreUnderTest, size: int, length: int | None) -> None:
    app = _extended_app(parts, before_request=lambda: None if request.stream.read(size) else ("empty", 400))
    environ = _environ(body=ChunkedInput(ROWS, 700), length=length)
    if length is None:
        environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    assert _send(app, environ) == (200, {"predictions": [3000.0]})
    assert parts.left_behind() == {}


def test_body_read_by_an_extension_beyond_memory_is_predicted_and_released(parts: CoreUnderTest) -> None:
    large = b"x" * (SPOOL_MAX_SIZE + 1)
    app = _extended_app(parts, before_request=lambda: None if request.get_data(cache=False) else ("empty", 400))
    assert _send(app, _environ(body=io.BytesIO(large), length=len(large))) == (
        200,
        {"predictions": [float(len(large))]},
    )
    assert parts.left_behind() == {}


def test_body_read_by_an_extension_that_responds_itself_is_released(parts: CoreUnderTest) -> None:
    def refuse() -> tuple[dict[str, int], int]:
        return {"read": len(request.get_data())}, 401

    large = b"x" * (SPOOL_MAX_SIZE + 1)
    app = _extended_app(parts, before_request=refuse)
    assert _send(app, _environ(body=io.BytesIO(large), length=len(large))) == (401, {"read": len(large)})
    assert parts.left_behind() == {}


def test_read_after_the_prediction_is_empty_and_does_not_block(parts: CoreUnderTest) -> None:
    read: list[bytes] = []

    def read_again(response: Response) -> Response:
        read.append(request.get_data())
        return response

    body = ChunkedInput(ROWS, 700, AssertionError("read beyond the end"))
    app = _extended_app(parts, after_request=read_again)
    assert _send(app, _environ(body=body, length=3000)) == (200, {"predictions": [3000.0]})
    assert read == [b""]


@each_case("error", [None, ConnectionResetError("gone"), ValueError("bad chunk")], ids=repr)
@each_case("length", [9000, None], ids=["content-length", "chunked"])
def test_client_that_disconnects_while_an_extension_reads_is_a_bad_request(
    parts: CoreUnderTest, error: Exception | None, length: int | None
) -> None:
    environ = _environ(body=ChunkedInput(ROWS, 700, error or OSError("ended")), length=length)
    if length is None:
        environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    app = _extended_app(parts, before_request=lambda: None if request.get_data() else ("empty", 400))
    _, status, _ = run_wsgi_app(app, environ, buffered=True)
    assert status.startswith("400 ") and parts.left_behind() == {}
    assert parts.predictor.payloads == []


def test_options_is_answered_only_with_an_extension(app: Flask, parts: CoreUnderTest) -> None:
    environ = EnvironBuilder("/predict/", method="OPTIONS").get_environ()
    _, status, _ = run_wsgi_app(app, dict(environ), buffered=True)
    assert status.startswith("405 ")
    _, status, headers = run_wsgi_app(_extended_app(parts), dict(environ), buffered=True)
    assert status.startswith("200 ") and set(headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


def test_failed_extension_leaves_nothing_of_itself(parts: CoreUnderTest) -> None:
    def load_extension(app: Flask) -> bool:
        app.add_url_rule("/secret", view_func=lambda: "open")
        app.before_request(lambda: ("from the extension", 200))
        parts.state.set_extension_failed()
        return True

    app = build_app(parts.with_core(load_extension=load_extension).core)
    statuses = {
        path: app.test_client().get(path).status_code for path in ("/secret", "/info/", "/livez", "/", "/readyz")
    }
    assert statuses == {"/secret": 404, "/info/": 404, "/livez": 200, "/": 513, "/readyz": 503}
    assert app.test_client().post("/predict/").status_code == 513
