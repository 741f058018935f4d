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
        with RequestLogEntry(self._request_log, scope["method"], scope["path"], partial(_header, scope)) as entry:
            await _Exchange(entry, self._worker_ctx, send).run(self._app, scope, receive)


class _Exchange:
    """One request and its response."""

    def __init__(self, entry: RequestLogEntry, worker_ctx: WorkerCtx, send: Send) -> None:
        self._entry = entry
        self._worker_ctx = worker_ctx
        self._send = send
        self._is_complete = False

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        """Call the app, and respond if it raises before its response has started.

        Raises:
            Exception: the response was incomplete, so the server has to abort the connection.
        """
        try:
            await app(scope, receive, self.send)
        except (Exception, asyncio.CancelledError) as error:
            if self._is_complete:  # Starlette's ServerErrorMiddleware responds, then raises
                return
            if self._entry.status:
                raise
            if isinstance(error, asyncio.CancelledError):
                if not self._worker_ctx.is_draining:
                    raise
                error = shutdown_error()
            await to_starlette(error_response(error))(scope, receive, self.send)

    async def send(self, message: Message) -> None:
        """Send a message with the standard headers, and note the status."""
        if message["type"] == "http.response.start":
            self._entry.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *self._headers()]}
        elif message["type"] == "http.response.body":
            self._is_complete = not message.get("more_body", False)
        await self._send(message)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(name.lower().encode(), value.encode()) for name, value in self._entry.headers.items()]
        return [*headers, (b"connection", b"close")] if self._worker_ctx.is_draining else headers


def shutdown_error() -> DeadlineExceeded:
    """Return the error of a request that the graceful timeout has ended."""
    return DeadlineExceeded("The server stops and waits no longer (DRUM_GUNICORN_GRACEFUL_TIMEOUT).")


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


def _header(scope: Scope, name: str) -> str:
    """Return the values of a header, joined as WSGI joins them; empty without one."""
    wanted = name.encode()
    return ",".join(value.decode("latin-1") for field, value in scope["headers"] if field == wanted)
