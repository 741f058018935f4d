"""Plain ASGI middleware: streams pass untouched."""

import asyncio
from functools import partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datarobot_drum.drum.exceptions import DeadlineExceeded
from datarobot_drum.drum.fastapi.messages import header_fields, send_response
from datarobot_drum.drum.process.stdout_flusher import StdoutFlusher
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.request_log import RequestLog, RequestLogEntry


class RequestContextMiddleware:
    """Gives a request its id, every answer the headers of the contract, and the log one line.

    It is the outermost layer, so it is also the last that can turn an exception into an answer. While the worker
    drains, every answer asks its client to connect anew, elsewhere.
    """

    def __init__(self, app: ASGIApp, request_log: RequestLog, worker_ctx: WorkerCtx) -> None:
        self._app = app
        self._ledger = request_log
        self._worker_ctx = worker_ctx

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith("//"):  # WSGI servers take several slashes at the start for one
            scope = {**scope, "path": "/" + scope["path"].lstrip("/")}
        with RequestLogEntry(self._ledger, scope["method"], scope["path"], partial(_header, scope)) as exchange:
            await call_app(exchange, self._worker_ctx, self._app, scope, receive, send)


async def call_app(
    exchange: RequestLogEntry, worker_ctx: WorkerCtx, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Have ``app`` answer; what it raises before its answer has begun becomes an answer, too."""
    send_with_headers = _with_standard_headers(send, exchange, worker_ctx)
    try:
        await app(scope, receive, send_with_headers)
    except (Exception, asyncio.CancelledError) as error:  # the outermost edge of a request
        if exchange.status:
            raise  # too late for an answer: the server aborts the connection
        if isinstance(error, asyncio.CancelledError):
            if not worker_ctx.is_draining:
                raise
            error = shutdown_error()
        await send_response(error_response(error), receive, send_with_headers)


def _with_standard_headers(send: Send, exchange: RequestLogEntry, worker_ctx: WorkerCtx) -> Send:
    """``send`` that adds what every answer carries, and notes its status."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            extra = header_fields(exchange.headers)
            if worker_ctx.is_draining:
                extra.append((b"connection", b"close"))
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return send_with_headers


def shutdown_error() -> DeadlineExceeded:
    """What a request answers that the graceful timeout has ended."""
    return DeadlineExceeded("The server stops and waits no longer (DRUM_GRACEFUL_TIMEOUT).")


class StdoutFlusherMiddleware:
    """Has what a model printed shown soon after the request has ended, however it ended."""

    def __init__(self, app: ASGIApp, flusher: StdoutFlusher) -> None:
        self._app = app
        self._flusher = flusher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "http":
                self._flusher.request_ended()


def _header(scope: Scope, name: str) -> str:
    """The values of a header, joined as WSGI joins them; empty without one."""
    wanted = name.encode()
    return ",".join(value.decode("latin-1") for field, value in scope["headers"] if field == wanted)
