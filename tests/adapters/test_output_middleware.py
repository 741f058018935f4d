"""The middleware that has output flushed after each request: what passes it is left as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from datarobot_drum.drum.fastapi.middleware import StdoutFlusherMiddleware as AsgiMiddleware
from datarobot_drum.drum.flask.middleware import StdoutFlusherMiddleware as WsgiMiddleware
from datarobot_drum.drum.process.stdout_flusher import StdoutFlusher

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Counter(StdoutFlusher):
    """Counts the requests that have ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = 0

    def request_ended(self) -> None:
        self.ended += 1


@pytest.fixture
def flusher() -> Counter:
    return Counter()


async def _receive() -> Message:
    return {"type": "http.request"}


async def test_an_asgi_stream_passes_message_by_message_and_the_flush_comes_last(flusher: Counter) -> None:
    chunks: list[Message] = [{"type": "http.response.body", "body": b"x", "more_body": more} for more in (True, False)]
    messages: list[Message] = [{"type": "http.response.start", "status": 200}, *chunks]
    sent: list[tuple[Message, int]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert receive is _receive
        for message in messages:
            await send(message)

    async def send(message: Message) -> None:
        sent.append((message, flusher.ended))

    await AsgiMiddleware(app, flusher)({"type": "http"}, _receive, send)
    assert all(message is original for (message, _), original in zip(sent, messages, strict=True))
    assert [ended for _, ended in sent] == [0, 0, 0]
    assert flusher.ended == 1


@pytest.mark.parametrize(("kind", "ended"), [("http", 1), ("lifespan", 0)])
async def test_an_asgi_app_that_fails_counts_as_ended_if_it_was_a_request(
    kind: str, ended: int, flusher: Counter
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("for nothing")

    async def send(message: Message) -> None:
        raise AssertionError

    with pytest.raises(LookupError, match="for nothing"):
        await AsgiMiddleware(app, flusher)({"type": kind}, _receive, send)
    assert flusher.ended == ended


def _call(app: WSGIApplication, flusher: Counter) -> Any:
    def start_response(*args: Any) -> Any:
        raise AssertionError

    return WsgiMiddleware(app, flusher)({}, start_response)


def test_a_wsgi_stream_is_pulled_chunk_by_chunk_and_the_flush_comes_when_it_is_closed(flusher: Counter) -> None:
    pulled: list[int] = []
    closed: list[int] = []

    def stream() -> Iterator[bytes]:
        try:
            for number in range(3):
                pulled.append(number)
                yield b"x"
        finally:
            closed.append(flusher.ended)

    answer = _call(lambda environ, start_response: stream(), flusher)
    iterator = iter(answer)
    assert (next(iterator), pulled, flusher.ended) == (b"x", [0], 0)
    answer.close()
    assert (pulled, closed, flusher.ended) == ([0], [0], 1)


def test_a_wsgi_app_that_fails_counts_as_ended(flusher: Counter) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        raise LookupError("for nothing")

    with pytest.raises(LookupError, match="for nothing"):
        _call(app, flusher)
    assert flusher.ended == 1
