"""The Flask app around the core."""

from functools import partial

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from datarobot_drum.drum.exceptions import RequestError
from datarobot_drum.drum.flask.access import AccessMiddleware
from datarobot_drum.drum.flask.messages import to_flask
from datarobot_drum.drum.flask.middleware import (
    ReplayBodyMiddleware,
    RequestContextMiddleware,
    StdoutFlusherMiddleware,
)
from datarobot_drum.drum.flask.routes import add_routes, add_views
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.error_formats import find_error_format
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.routing_errors import method_not_allowed, route_not_found


def build_app(core: ServingCore, app: Flask | None = None) -> Flask:
    """Mount the core on ``app``, or on a new one.

    The extension runs between views and routes: it can wrap every view, and its routes win on equal paths.
    """
    app = app or _new_app()
    _add_error_handlers(app, core)
    add_views(app, core)
    has_extension = core.load_extension(app)
    if core.state.extension_failed:
        app.wsgi_app = _build_error_app(core).wsgi_app  # type: ignore[method-assign]
    else:
        add_routes(app, core, answer_options=has_extension)
    flushing = StdoutFlusherMiddleware(app.wsgi_app, core.flusher)
    replaying = ReplayBodyMiddleware(flushing, core.limits.directory)
    checking = replaying if core.access is None else AccessMiddleware(replaying, core.access)
    app.wsgi_app = RequestContextMiddleware(checking, core.request_log)  # type: ignore[method-assign]
    return app


def _new_app() -> Flask:
    return Flask("datarobot_drum", static_folder=None)


def _build_error_app(core: ServingCore) -> Flask:
    """Build an app that holds nothing of the extension: what it added before it failed may be unguarded."""
    app = _new_app()
    _add_error_handlers(app, core)
    add_views(app, core)
    add_routes(app, core)
    return app


def _add_error_handlers(app: Flask, core: ServingCore) -> None:
    """Register the default handlers; those that the extension registers later replace them."""
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = True
    app.register_error_handler(HTTPException, partial(_on_http_exception, prefix=core.url_prefix))
    app.register_error_handler(RequestError, _on_error)
    app.register_error_handler(Exception, _on_error)


def _on_http_exception(error: HTTPException, prefix: str) -> Response | HTTPException:
    """Answer 404 and 405 as every server does; other HTTP errors of an extension stay as they are."""
    if error.code == 404:
        # The description of an extension's own abort(404, "…") is worth keeping; Werkzeug's own text is not.
        detail = error.description if request.url_rule is not None else None
        return to_flask(route_not_found(request.path, detail, prefix=prefix))
    if error.code == 405:
        allow = ", ".join(getattr(error, "valid_methods", None) or ())
        return to_flask(method_not_allowed(request.method, allow, request.path, prefix=prefix))
    return error


def _on_error(error: Exception) -> Response:
    return to_flask(error_response(error, find_error_format(request.endpoint or "", request.path)))
