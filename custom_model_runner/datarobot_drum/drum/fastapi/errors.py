"""Exception handlers: responses to errors of routes, dependencies, middleware and model code."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from starlette._utils import is_async_callable
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from datarobot_drum.drum.exceptions import RequestError
from datarobot_drum.drum.fastapi.messages import disconnected, to_draining, to_starlette
from datarobot_drum.drum.serving.body.receiving import BodyRejected
from datarobot_drum.drum.serving.error_formats import find_error_format
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.drum.serving.routing_errors import method_not_allowed, route_not_found

RESPONSE_STARTED = "Caught handled exception"
"""How Starlette begins the text of the error that it raises for a handled one when the response has started."""


def add_error_handlers(app: FastAPI, prefix: str = "") -> None:
    """Register our exception handlers; those of a given app, and of the extension, replace them.

    Args:
        prefix: of all routes of the server.
    """
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        RequestError: _on_error,
        BodyRejected: _on_rejected_body,
        ClientDisconnect: _on_disconnect,
    }
    for kind, handler in handlers.items():
        app.exception_handlers.setdefault(kind, handler)
    if app.exception_handlers.get(HTTPException) is http_exception_handler:
        app.exception_handlers[HTTPException] = partial(_on_http_exception, prefix=prefix)


async def respond_to_unexpected_error(request: Request, error: Exception) -> Response:
    """Respond to an error without a handler of its own: by the app's handler for ``Exception`` or 500, else as JSON."""
    if isinstance(error.__cause__, Exception) and str(error).startswith(RESPONSE_STARTED):
        error = error.__cause__  # the connection is aborted; log and trace the error itself
    handlers = request.app.exception_handlers
    handler = handlers.get(500) or handlers.get(Exception)
    if handler is None:
        return await _on_error(request, error)
    _to_model_response(request, error)  # logs it
    call = handler(request, error) if is_async_callable(handler) else run_in_threadpool(handler, request, error)
    response: Response = await call
    return response


async def _on_error(request: Request, error: Exception) -> Response:
    return to_starlette(_to_model_response(request, error))


async def _on_rejected_body(request: Request, rejected: BodyRejected) -> Response:
    response = _to_model_response(request, rejected.error)
    return to_starlette(response) if rejected.is_complete else to_draining(response)


async def _on_disconnect(request: Request, error: ClientDisconnect) -> Response:
    return disconnected()


async def _on_http_exception(request: Request, error: HTTPException, prefix: str) -> Response:
    """Respond to 404 and 405 as every server does; other HTTP errors of an extension stay as they are."""
    if error.status_code == 404:
        # Not `request.url.path`: a URL has no place for a decoded question mark or line break.
        detail = error.detail if "endpoint" in request.scope else None
        return to_starlette(route_not_found(request.scope["path"], detail, prefix=prefix))
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return to_starlette(method_not_allowed(request.method, allow, request.scope["path"], prefix=prefix))
    return await http_exception_handler(request, error)


def _to_model_response(request: Request, error: Exception) -> ModelResponse:
    endpoint = getattr(request.scope.get("endpoint"), "__name__", "")
    return error_response(error, find_error_format(endpoint, request.scope["path"]))
