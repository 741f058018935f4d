"""Plain ASGI middleware: streams pass untouched."""

import asyncio
from functools import partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datarobot_drum.drum.exceptions import DeadlineExceeded
from datarobot_drum.drum.fastapi.messages import to_starlette
from datarobot_drum.drum.process.stdout_flusher import StdoutFlusher
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.request_log import RequestLog, RequestLogEntry
from datarobot_drum.drum.serving.routing_errors import path_error_format


class RequestContextMiddleware:
    """Gives each request an id, each response the standard headers, and the log one line.

    It is the outermost middleware, and responds where nothing inside it did. While the worker drains, each response
    has ``Connection: close``, so that its client connects to another server.
    """

    def __init__(self, app: ASGIApp, request_log: RequestLog, worker_ctx: WorkerCtx) -> None:
        self._app = app
        self._request_log = request_log
        self._worker_ctx = worker_ctx

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith("//"):  # WSGI servers take several slashes at the start for one
            scope = {**scope, "path": "/" + scope["path"].lstrip("/")}
        with RequestLogEntry(self._request_log, scope["method"], scope["path"], partial(read_header, scope)) as entry:
            await self._respond(entry, scope, receive, send)

    async def _respond(self, entry: RequestLogEntry, scope: Scope, receive: Receive, send: Send) -> None:
        is_complete = False

        async def send_with_headers(message: Message) -> None:
            nonlocal is_complete
            if message["type"] == "http.response.start":
                entry.status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *self._headers(entry)]}
            elif message["type"] == "http.response.body":
                is_complete = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except (Exception, asyncio.CancelledError) as error:
            if is_complete:  # Starlette's ServerErrorMiddleware responds, then raises
                return
            if entry.status or (isinstance(error, asyncio.CancelledError) and not self._worker_ctx.is_draining):
                raise  # the server aborts the connection
            timed_out = isinstance(error, asyncio.CancelledError)
            error_format = path_error_format(scope.get("path", ""))
            response = error_response(shutdown_error() if timed_out else error, error_format)
            await to_starlette(response)(scope, receive, send_with_headers)

    def _headers(self, entry: RequestLogEntry) -> list[tuple[bytes, bytes]]:
        headers = [(name.lower().encode(), value.encode()) for name, value in entry.headers.items()]
        return [*headers, (b"connection", b"close")] if self._worker_ctx.is_draining else headers


def shutdown_error() -> DeadlineExceeded:
    """Return the error of a request that the graceful timeout has ended."""
    return DeadlineExceeded("The server stops and waits no longer (DRUM_GRACEFUL_TIMEOUT).")


class StdoutFlusherMiddleware:
    """Flushes what the model printed soon after each request, also after one that failed."""

    def __init__(self, app: ASGIApp, flusher: StdoutFlusher) -> None:
        self._app = app
        self._flusher = flusher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "http":
                self._flusher.request_ended()


def read_header(scope: Scope, name: str) -> str:
    """Return the values of a header, joined as WSGI joins them; empty without one."""
    wanted = name.encode()
    return ",".join(value.decode("latin-1") for field, value in scope["headers"] if field == wanted)
