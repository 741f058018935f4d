"""Blueprints, error handlers, a mounted app, and routes on paths that the server has, too."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Flask, abort
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware

pages = Blueprint("pages", __name__, url_prefix="/pages")


class OwnError(Exception):
    """An error that the extension translates itself."""


@pages.get("/hello")
def hello() -> str:
    return "hello"


@pages.get("/own-error")
def raise_own_error() -> str:
    raise OwnError("mine")


@pages.get("/unexpected")
def raise_unexpected() -> str:
    raise ZeroDivisionError("nobody handles me")


@pages.get("/teapot")
def raise_http_error() -> str:
    abort(418)


def mounted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "7")])
    return [b"mounted"]


def init_app(app: Flask) -> None:
    app.register_blueprint(pages)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/mounted": mounted})  # type: ignore[method-assign]

    @app.errorhandler(OwnError)
    def on_own_error(error: OwnError) -> tuple[dict[str, str], int]:
        return {"handled": str(error)}, 409

    @app.errorhandler(Exception)
    def on_exception(error: Exception) -> tuple[dict[str, str], int]:
        return {"handled": type(error).__name__}, 500

    @app.errorhandler(HTTPException)
    def on_http_exception(error: HTTPException) -> tuple[dict[str, str | int | None], int]:
        return {"handled": "HTTPException", "code": error.code}, error.code or 500

    @app.get("/capabilities/")
    def own_capabilities() -> dict[str, str]:
        return {"from": "extension"}
