"""Plain WSGI middleware."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.wsgi import ClosingIterator

from datarobot_drum.drum.serving.ledger import Exchange, Ledger
from datarobot_drum.drum.serving.stdout_flusher import StdoutFlusher

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class RequestContextMiddleware:
    """Gives a request its id, every answer the headers of the contract, and the log one line."""

    def __init__(self, app: WSGIApplication, ledger: Ledger) -> None:
        self._app = app
        self._ledger = ledger

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        exchange = Exchange(self._ledger, environ["REQUEST_METHOD"], path, environ.get("HTTP_X_REQUEST_ID"))

        def start_with_headers(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            exchange.status = int(status.split(" ", 1)[0])
            return start_response(status, [*headers, *exchange.headers.items()], exc_info)

        exchange.__enter__()
        try:
            answer = self._app(environ, start_with_headers)
        except BaseException as error:
            exchange.__exit__(type(error), error, error.__traceback__)
            raise
        # The server closes the answer once it is sent, in this thread.
        return ClosingIterator(answer, lambda: exchange.__exit__(None, None, None))


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
        return ClosingIterator(answer, self._flusher.request_ended)
