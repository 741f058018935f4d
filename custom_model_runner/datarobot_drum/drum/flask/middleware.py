"""Plain WSGI middleware."""

import time
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from datarobot_drum.drum.serving.request_context import (
    accept_request_id,
    contract_headers,
    log_access,
    request_id,
)


class RequestContextMiddleware:
    """Gives a request its id, every answer the headers of the contract, and the log one line."""

    def __init__(self, app: WSGIApplication, probe_paths: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._probe_paths = probe_paths

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        identifier = accept_request_id(environ.get("HTTP_X_REQUEST_ID"))
        token = request_id.set(identifier)
        extra = list(contract_headers(identifier).items())
        begin = time.perf_counter()

        def start_with_headers(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            log_access(
                environ["REQUEST_METHOD"],
                path,
                int(status.split(" ", 1)[0]),
                time.perf_counter() - begin,
                is_probe=path in self._probe_paths,
            )
            return start_response(status, [*headers, *extra], exc_info)

        try:
            return self._app(environ, start_with_headers)
        finally:
            request_id.reset(token)
