"""Plain WSGI middleware."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.iterators import close_iterator
from datarobot_drum.drum.process.stdout_flusher import StdoutFlusher
from datarobot_drum.drum.serving.request_log import RequestLog, RequestLogEntry

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class RequestContextMiddleware:
    """Gives a request its id, every answer the headers of the contract, and the log one line."""

    def __init__(self, app: WSGIApplication, request_log: RequestLog) -> None:
        self._app = app
        self._ledger = request_log

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        exchange = RequestLogEntry(self._ledger, environ["REQUEST_METHOD"], path, partial(_header, environ))

        def start_with_headers(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            exchange.status = int(status.split(" ", 1)[0])
            return start_response(status, [*headers, *exchange.headers.items()], exc_info)

        exchange.__enter__()
        try:
            answer = self._app(environ, start_with_headers)
        except BaseException as error:
            exchange.__exit__(type(error), error, error.__traceback__)
            raise
        # The server draws and closes the answer in this thread.
        return _Answer(answer, lambda: exchange.__exit__(None, None, None))


def _header(environ: WSGIEnvironment, name: str) -> str | None:
    return environ.get("HTTP_" + name.upper().replace("-", "_"))


class StdoutFlusherMiddleware:
    """Has what a model printed shown soon after the request has ended, however it ended."""

    def __init__(self, app: WSGIApplication, flusher: StdoutFlusher) -> None:
        self._app = app
        self._flusher = flusher

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            answer = self._app(environ, start_response)
        except BaseException:
            self._flusher.request_ended()
            raise
        return _Answer(answer, self._flusher.request_ended)


class _Answer(Iterable[bytes]):
    """An answer that calls back once it is closed, or is dropped without that.

    Werkzeug's server reads what else the client may have sent before it closes the answer, and when that fails, because
    the client has left, it never does.
    """

    def __init__(self, answer: Iterable[bytes], ended: Callable[[], object]) -> None:
        self._answer = answer
        self._ended: Callable[[], object] | None = ended

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer)

    def close(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            try:
                close_iterator(self._answer)
            finally:
                ended()

    __del__ = close
