"""Functions before, after and at the teardown of every request, and a WSGI middleware."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, g
from werkzeug.middleware.proxy_fix import ProxyFix

torn_down = 0


class CountRequests:
    """Plain WSGI middleware."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self.count = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.count += 1
        return self._app(environ, start_response)


def init_app(app: Flask) -> None:
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    app.wsgi_app = CountRequests(app.wsgi_app)  # type: ignore[method-assign]

    @app.before_request
    def before() -> None:
        g.saw = "before"

    @app.after_request
    def after(response: Response) -> Response:
        response.headers["X-Saw"] = f"{g.saw}, after"
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        global torn_down
        torn_down += 1

    @app.get("/torn-down")
    def count() -> dict[str, int]:
        return {"torn_down": torn_down}
