"""The Flask app around the core."""

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from datarobot_drum.drum.flask.messages import to_flask
from datarobot_drum.drum.flask.middleware import RequestContextMiddleware, StdoutFlusherMiddleware
from datarobot_drum.drum.flask.routes import add_routes
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.routing_errors import method_not_allowed, route_not_found


def build_app(core: ServingCore, app: Flask | None = None) -> Flask:
    """Mount the core on ``app``, or on a new one."""
    app = app or Flask("datarobot_drum", static_folder=None)
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = True
    add_routes(app, core)
    app.register_error_handler(404, _answer_not_found)
    app.register_error_handler(405, _answer_method_not_allowed)
    app.register_error_handler(Exception, _answer_error)
    core.load_extension(app)
    flushing = StdoutFlusherMiddleware(app.wsgi_app, core.flusher)
    app.wsgi_app = RequestContextMiddleware(flushing, core.request_log)  # type: ignore[method-assign]
    return app


def _answer_not_found(error: HTTPException) -> Response:
    # The description of an extension's own abort(404, "…") is worth keeping; Werkzeug's own text is not.
    detail = error.description if request.url_rule is not None else None
    return to_flask(route_not_found(request.path, detail))


def _answer_method_not_allowed(error: HTTPException) -> Response:
    allow = ", ".join(getattr(error, "valid_methods", None) or ())
    return to_flask(method_not_allowed(request.method, allow))


def _answer_error(error: Exception) -> Response | HTTPException:
    """Other HTTP errors of an extension stay as it made them."""
    return error if isinstance(error, HTTPException) else to_flask(error_response(error))
