"""What only the Flask adapter has: WSGI input that is read in whatever pieces the server has, and answers it closes."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from datarobot_drum.drum.flask.app import build_app
from tests.adapters.cores import CoreUnderTest


class Pieces(io.RawIOBase):
    """WSGI input that gives at most ``size`` bytes at a time, and breaks at its end if it is told to."""

    def __init__(self, content: bytes, size: int, error: Exception | None = None) -> None:
        self._content = io.BytesIO(content)
        self._size = size
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._content.read(min(self._size, len(buffer)))
        if not piece and self._error is not None:
            raise self._error
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.fixture
def parts(tmp_path: Path) -> CoreUnderTest:
    return CoreUnderTest(tmp_path)


@pytest.fixture
def app(parts: CoreUnderTest) -> Flask:
    return build_app(parts.core)


def _environ(path: str = "/predict/", *, body: Any = None, length: int | None = 0, **variables: Any) -> dict[str, Any]:
    """A POST as a WSGI server hands it over; without a ``length`` it has no Content-Length."""
    environ = EnvironBuilder(path, method="POST").get_environ()
    size = "" if length is None else str(length)
    own = {"CONTENT_TYPE": "text/csv", "CONTENT_LENGTH": size, "wsgi.input": body or io.BytesIO()}
    return {**environ, **own, **variables}


def _ask(app: Flask, environ: dict[str, Any]) -> tuple[int, Any]:
    """Status and document of one call, its answer closed as a server does."""
    chunks, status, _ = run_wsgi_app(app, environ, buffered=True)
    return int(status[:3]), json.loads(b"".join(chunks))


@pytest.mark.parametrize("size", [1, 1000, 10**6], ids=lambda size: f"by-{size}")
@pytest.mark.parametrize("length", [4, 1024, 1025, 70_000], ids=lambda length: f"{length}-bytes")
def test_a_body_is_the_same_in_whatever_pieces_it_comes(
    app: Flask, parts: CoreUnderTest, length: int, size: int
) -> None:
    environ = _environ(body=Pieces(b"x" * length, size), length=length)
    assert _ask(app, environ) == (200, {"predictions": [float(length)]})
    assert parts.left_behind() == {}


def test_a_body_without_a_length_is_read_where_the_server_marks_its_end(app: Flask, parts: CoreUnderTest) -> None:
    environ = _environ(body=Pieces(b"x" * 50, 7), length=None, HTTP_TRANSFER_ENCODING="chunked")
    assert _ask(app, {**environ, "wsgi.input_terminated": True}) == (200, {"predictions": [50.0]})
    assert parts.left_behind() == {}


def test_a_body_without_a_length_and_without_an_end_is_no_body(app: Flask, parts: CoreUnderTest) -> None:
    status, _ = _ask(app, _environ(body=Pieces(b"x" * 50, 7), length=None))
    assert status == 422 and parts.left_behind() == {}


@pytest.mark.parametrize("sent", [0, 100, 5000], ids=["nothing", "in-memory", "on-disk"])
@pytest.mark.parametrize("error", [None, ConnectionResetError("gone"), TimeoutError("slow")], ids=repr)
def test_a_client_that_leaves_while_it_uploads_leaves_nothing_behind(
    app: Flask, parts: CoreUnderTest, sent: int, error: Exception | None
) -> None:
    status, document = _ask(app, _environ(body=Pieces(b"x" * sent, 512, error), length=9000))
    assert 400 <= status < 500 and document["message"].startswith("ERROR: ")
    assert parts.left_behind() == {} and parts.predictor.payloads == []


def test_a_request_is_in_flight_until_its_answer_is_closed(app: Flask, parts: CoreUnderTest) -> None:
    answer = _call(app, _environ(body=io.BytesIO(b"x\n1\n"), length=4))
    assert b"".join(answer) == b'{"predictions":[4.0]}'
    assert parts.request_log.in_flight == 1
    answer.close()  # type: ignore[attr-defined]
    assert parts.left_behind() == {}


def _call(app: Flask, environ: dict[str, Any]) -> Iterable[bytes]:
    return app(environ, lambda status, headers, exc_info=None: lambda data: None)


def test_a_refused_call_is_told_when_to_come_back_and_its_files_are_closed(tmp_path: Path) -> None:
    parts = CoreUnderTest(tmp_path, queue_timeout=0)
    app = build_app(parts.core)
    environ = _environ(body=io.BytesIO(b"x" * 5000), length=5000)
    status, document = parts.executor.call(_ask, app, environ)
    assert (status, document["error"]) == (503, "SERVICE_UNAVAILABLE")
    assert parts.left_behind() == {} and parts.predictor.payloads == []


def test_an_unexpected_error_of_an_apps_own_route_is_answered_as_every_error_is(parts: CoreUnderTest) -> None:
    app = Flask("mine")

    @app.post("/mine")
    def mine() -> str:
        raise ValueError("my own mistake")

    assert _ask(build_app(parts.core, app), _environ("/mine")) == (
        500,
        {"message": "ERROR: ValueError: my own mistake"},
    )
    assert parts.left_behind() == {}
