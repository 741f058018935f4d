"""The route table as Flask views."""

from collections.abc import Callable
from contextlib import closing
from functools import partial

from flask import Flask, Response, request

from datarobot_drum.drum.flask.messages import read_body, request_headers, to_flask, to_request
from datarobot_drum.drum.serving.bodies import Body
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.routes import ROUTES, Route, Runs, spellings


def add_routes(app: Flask, core: ServingCore) -> None:
    """Mount every route of the table, in every spelling, below the URL prefix."""
    for route in ROUTES:
        view = _as_view(route, core)
        for path in spellings(route, core.url_prefix):
            app.add_url_rule(
                path,
                endpoint=route.handler,
                view_func=view,
                methods=route.methods,
                provide_automatic_options=False,
            )


def _as_view(route: Route, core: ServingCore) -> Callable[[], Response]:
    handle = core.handlers.find(route.handler)
    respond = _respond_from_model if route.runs is Runs.MODEL else _respond

    def view() -> Response:
        try:
            return to_flask(respond(route, core, handle))
        except Exception as error:  # a request's edge: whatever happened, the client gets an answer
            return to_flask(error_response(error))

    return view


Handle = Callable[[ModelRequest], ModelResponse]


def _respond(route: Route, core: ServingCore, handle: Handle) -> ModelResponse:
    return handle(ModelRequest(method=request.method, headers=request_headers(request.environ)))


def _respond_from_model(route: Route, core: ServingCore, handle: Handle) -> ModelResponse:
    core.state.wait(core.load_timeout)
    core.state.require_ready()
    headers = request_headers(request.environ)
    body = read_body(request.environ, headers, core.limits, route.form_fields)
    work = partial(_work, handle, to_request(request.environ, headers, body), body)
    if not core.request_timeout:
        with closing(body):
            return core.executor.call(work)
    # The work closes the body: it may outlive this request when it takes too long.
    return core.executor.call_within(core.request_timeout, work, discard=body.close)


def _work(handle: Handle, asked: ModelRequest, body: Body) -> ModelResponse:
    with closing(body):
        return handle(asked)
