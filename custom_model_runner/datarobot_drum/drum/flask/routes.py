"""The route table as Flask views."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain

from flask import Flask, Response, request
from werkzeug.routing import BaseConverter

from datarobot_drum.drum.flask.messages import read_body, request_headers, to_flask, to_request
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.iterators import close_iterator
from datarobot_drum.drum.serving.body.reader import RequestBody
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.execution.call import Handle, ModelCall
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.routes import Execution, Route, path_variants, subpath_patterns

PROXY = "datarobot_drum.drum.flask.proxy:ProxyView"
ANYTHING = "drum_anything"


def add_routes(app: Flask, core: ServingCore) -> None:
    """Mount every route of the table, in every spelling, below the URL prefix."""
    app.url_map.converters[ANYTHING] = _Anything
    for route in core.routes:
        view = _view(route, core)
        patterns = subpath_patterns(route, core.url_prefix, f"<{ANYTHING}:subpath>")
        for path in chain(path_variants(route, core.url_prefix), patterns):
            app.add_url_rule(
                path,
                endpoint=route.handler,
                view_func=view,
                methods=route.methods,
                provide_automatic_options=False,
            )


class _Anything(BaseConverter):
    """What Werkzeug's own ``path`` matches, and what begins with a slash, which is to be refused and not overlooked."""

    part_isolating = False
    regex = r"[\s\S]*"


def _view(route: Route, core: ServingCore) -> Callable[..., Response]:
    engine = core.handlers.engine
    if route.execution is Execution.ENGINE and engine is not None:
        proxy: Callable[..., Response] = import_from_string(PROXY)(route, core, engine)
        return proxy
    return _as_view(route, core)


def _as_view(route: Route, core: ServingCore) -> Callable[..., Response]:
    handle = core.find_handler(route)
    respond = _respond_from_model if route.execution is Execution.EXECUTOR else _respond

    def view(subpath: str = "") -> Response:
        try:
            return to_flask(respond(route, core, handle))
        except Exception as error:  # a request's edge: whatever happened, the client gets an answer
            return to_flask(error_response(error, for_openai=route.for_openai))

    return view


def _respond(route: Route, core: ServingCore, handle: Handle) -> ModelResponse:
    return handle(ModelRequest(method=request.method, headers=request_headers(request.environ)))


def _respond_from_model(route: Route, core: ServingCore, handle: Handle) -> ModelResponse:
    core.state.wait(core.load_timeout)
    core.state.require_ready()
    headers = request_headers(request.environ)
    body = read_body(request.environ, headers, core.limits, core.handlers.form_fields(route))
    call = ModelCall(handle, to_request(request.environ, headers, body), body, core.request_timeout)
    if core.request_timeout or route.for_openai:
        # On a thread of its own: this one must be free to give up, or to send something while nothing comes.
        return core.executor.call_with_timeout(core.request_timeout or None, call, call.close_body)
    return _answer_in_this_thread(core, call, body)


def _answer_in_this_thread(core: ServingCore, call: ModelCall, body: RequestBody) -> ModelResponse:
    """The slot and the body are held until the answer is complete, which for a streamed one the server decides."""
    with ExitStack() as held:
        held.callback(body.close)
        held.enter_context(core.executor.slot())
        response = call.respond()
        if not isinstance(response.content, bytes):
            return replace(response, content=_HeldContent(response.content, held.pop_all()))
    return response


class _HeldContent(Iterator[bytes]):
    """A streamed answer with what it holds until the server closes it, drawn to its end or not."""

    def __init__(self, content: Iterable[bytes], held: ExitStack) -> None:
        self._content = iter(content)
        self._held = held

    def __next__(self) -> bytes:
        return next(self._content)

    def close(self) -> None:
        with self._held:
            close_iterator(self._content)
