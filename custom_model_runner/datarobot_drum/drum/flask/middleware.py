"""Plain WSGI middleware."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from werkzeug.wsgi import ClosingIterator, get_input_stream

from datarobot_drum.drum.flask.messages import ReplayableInput
from datarobot_drum.drum.iterators import close_iterator
from datarobot_drum.drum.process.stdout_flusher import StdoutFlusher
from datarobot_drum.drum.serving.request_log import RequestLog, RequestLogEntry

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class RequestContextMiddleware:
    """Sets the request id, adds the standard headers to every response, and logs each request."""

    def __init__(self, app: WSGIApplication, request_log: RequestLog) -> None:
        self._app = app
        self._request_log = request_log

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        entry = RequestLogEntry(self._request_log, environ["REQUEST_METHOD"], path, partial(read_header, environ))

        def start_with_headers(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            entry.status = int(status.split(" ", 1)[0])
            return start_response(status, [*headers, *entry.headers.items()], exc_info)

        entry.__enter__()
        try:
            body = self._app(environ, start_with_headers)
        except BaseException as error:
            entry.__exit__(type(error), error, error.__traceback__)
            raise
        # The server iterates and closes the body in this thread.
        return ResponseBody(body, lambda: entry.__exit__(None, None, None))


def read_header(environ: WSGIEnvironment, name: str) -> str | None:
    """Return the value of a header by its lower-case name; None without one."""
    return environ.get("HTTP_" + name.upper().replace("-", "_"))


class ReplayBodyMiddleware:
    """Lets the view read the body from its start, whatever an extension has read of it."""

    def __init__(self, app: WSGIApplication, directory: str | None) -> None:
        self._app = app
        self._directory = directory

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = ReplayableInput(get_input_stream(environ, safe_fallback=True), self._directory)
        environ["wsgi.input"] = body
        environ["wsgi.input_terminated"] = True
        try:
            return ResponseBody(self._app(environ, start_response), body.close)
        except BaseException:
            body.close()
            raise


class StdoutFlusherMiddleware:
    """Flushes stdout and stderr after each request, failed ones included."""

    def __init__(self, app: WSGIApplication, flusher: StdoutFlusher) -> None:
        self._app = app
        self._flusher = flusher

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            body = self._app(environ, start_response)
        except BaseException:
            self._flusher.request_ended()
            raise
        return ResponseBody(body, self._flusher.request_ended)


class ResponseBody(ClosingIterator):
    """A response body that calls ``on_close`` once, after its own ``close`` and even if that raises."""

    def __init__(self, body: Iterable[bytes], on_close: Callable[[], object]) -> None:
        stack = ExitStack()
        stack.callback(on_close)
        stack.callback(close_iterator, body)
        super().__init__(chain(body), stack.close)
