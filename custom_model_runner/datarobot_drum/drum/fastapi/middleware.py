"""Plain ASGI middleware: streams pass untouched."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datarobot_drum.drum.fastapi.messages import send_response
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.request_context import (
    REQUEST_ID_HEADER,
    accept_request_id,
    contract_headers,
    log_access,
    request_id,
)

_REQUEST_ID = REQUEST_ID_HEADER.lower().encode()


class RequestContextMiddleware:
    """Gives a request its id, every answer the headers of the contract, and the log one line.

    It is the outermost layer, so it is also the last that can turn an exception into an answer.
    """

    def __init__(self, app: ASGIApp, probe_paths: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._probe_paths = probe_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = accept_request_id(_header(scope, _REQUEST_ID))
        token = request_id.set(identifier)
        extra = [(name.lower().encode(), value.encode()) for name, value in contract_headers(identifier).items()]
        begin = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # the outermost edge of a request
            if status:
                raise  # too late for an answer: the server aborts the connection
            await send_response(error_response(error), send_with_headers)
        finally:
            path = scope["path"]
            log_access(
                scope["method"],
                path,
                status,
                time.perf_counter() - begin,
                is_probe=path in self._probe_paths,
            )
            request_id.reset(token)


def _header(scope: Scope, wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value.decode("latin-1"))
    return None
