"""The route table as Flask views."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain

from flask import Flask, Response, request
from werkzeug.routing import BaseConverter
from werkzeug.wsgi import ClosingIterator

from datarobot_drum.drum.cancellation import enter_request
from datarobot_drum.drum.flask.disconnects import DisconnectWatch
from datarobot_drum.drum.flask.messages import read_body, request_headers, to_flask, to_request
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.iterators import close_iterator
from datarobot_drum.drum.serving.body.reader import RequestBody
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.execution.call import Handle, ModelCall
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.routes import Execution, Route, path_variants, subpath_patterns

PROXY = "datarobot_drum.drum.flask.proxy:ProxyView"
ANY_SUBPATH = "drum_subpath"
_PARAMETER = re.compile(r"{(\w+)}")

View = Callable[..., Response]


def add_views(app: Flask, core: ServingCore) -> None:
    """Register a view per route, with rules that build URLs but match no request yet.

    An extension that wraps ``app.view_functions``, or lists ``app.url_map``, finds every route that way.
    """
    app.url_map.converters[ANY_SUBPATH] = _AnySubpath
    for route in core.routes:
        view = _create_view(route, core)
        view.__name__ = route.handler  # extensions tell views apart by name
        for path in _paths(route, core.url_prefix):
            app.add_url_rule(
                path,
                endpoint=route.handler,
                view_func=view,
                methods=route.methods,
                provide_automatic_options=False,
                build_only=True,
            )


def add_routes(app: Flask, core: ServingCore, *, answer_options: bool = False) -> None:
    """Match every route of the table, in every path variant, below the URL prefix.

    Args:
        answer_options: answer OPTIONS as Flask does, which CORS preflight requests need.
    """
    for route in core.routes:
        for path in _paths(route, core.url_prefix):
            app.add_url_rule(
                path,
                endpoint=route.handler,
                methods=route.methods,
                provide_automatic_options=None if answer_options else False,  # None: as Flask decides
            )


def _paths(route: Route, prefix: str) -> Iterator[str]:
    paths = (_PARAMETER.sub(r"<\1>", path) for path in path_variants(route, prefix))
    return chain(paths, subpath_patterns(route, prefix, f"<{ANY_SUBPATH}:subpath>"))


class _AnySubpath(BaseConverter):
    """Matches any text, also with a leading slash, so that the proxy rejects it and routing does not miss it."""

    part_isolating = False
    regex = r"[\s\S]*"


def _create_view(route: Route, core: ServingCore) -> View:
    engine = core.handlers.engine
    if route.execution is Execution.ENGINE and engine is not None:
        proxy = import_from_string(PROXY)(route, core, engine)
        return lambda subpath="": proxy()
    handle = core.find_handler(route)
    respond = _respond_from_model if route.execution is Execution.EXECUTOR else _respond
    return lambda **path_values: to_flask(respond(route, core, handle))


def _respond(route: Route, core: ServingCore, handle: Handle) -> ModelResponse:
    headers = request_headers(request.environ)
    return handle(ModelRequest(method=request.method, headers=headers, path_values=request.view_args or {}))


def _respond_from_model(route: Route, core: ServingCore, handle: Handle) -> ModelResponse:
    core.state.wait(core.load_timeout)
    core.state.require_ready()
    headers = request_headers(request.environ)
    body = read_body(request.environ, headers, core.limits, core.handlers.form_fields(route))
    model_request = to_request(request.environ, headers, body, request.view_args)
    call = ModelCall(handle, model_request, body, core.request_timeout)
    has_own_thread = bool(core.request_timeout or route.for_openai)
    watch = DisconnectWatch(request.environ, may_probe=not has_own_thread)
    call.cancellation.has_disconnected = watch
    if has_own_thread:  # this thread must be free to time out, or to send keep-alives
        return _respond_in_own_thread(core, call)
    response = _respond_in_this_thread(core, call, body)
    watch.may_probe = False  # the response starts
    return response


def _respond_in_own_thread(core: ServingCore, call: ModelCall) -> ModelResponse:
    try:
        return core.executor.call_with_timeout(core.request_timeout or None, call, call.close_body)
    except BaseException:
        call.cancellation.set()
        raise


def _respond_in_this_thread(core: ServingCore, call: ModelCall, body: RequestBody) -> ModelResponse:
    """Hold the slot and the body until the response is complete; the server closes a streamed one."""
    with ExitStack() as resources:
        resources.callback(body.close)
        resources.callback(enter_request, None)
        resources.enter_context(core.executor.slot())
        response = call.respond()
        content = response.content
        if not isinstance(content, bytes):
            resources.callback(close_iterator, content)
            return replace(response, content=ClosingIterator(chain(content), resources.pop_all().close))
    return response
