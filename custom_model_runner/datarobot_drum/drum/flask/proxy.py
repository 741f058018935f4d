"""Direct access to the engine in the thread of the connection, streamed both ways on shared connections."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
from flask import Response, request
from werkzeug.datastructures import Headers

from datarobot_drum.drum.engine_predictors.client import engine_errors, open_client
from datarobot_drum.drum.exceptions import RequestError
from datarobot_drum.drum.flask.messages import body_chunks, request_headers
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.proxy.httpx_requests import NO_BODY, to_httpx
from datarobot_drum.drum.serving.proxy.requests import EngineCall, RawTarget, engine_call, response_fields
from datarobot_drum.drum.serving.routes import Route
from datarobot_drum.drum.settings.engine import EngineSettings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_SCHEME_AND_HOST = re.compile(rb"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class ProxyView:
    """Forwards requests without a slot of the executor. A client that disconnects is noticed at its next chunk."""

    def __init__(self, route: Route, core: ServingCore, engine: EngineSettings) -> None:
        self._core = core
        self._engine = engine
        self._bases = [core.url_prefix + path for path in route.paths]
        self._client = open_client(engine)  # opens no connection yet
        core.worker_ctx.add_closeable(self._client, desc="close the connections to the engine")

    def __call__(self) -> Response:
        self._core.state.wait(self._core.load_timeout)
        self._core.state.require_ready()
        return self._forward(self._to_call(request.environ), request.environ)

    def _to_call(self, environ: WSGIEnvironment) -> EngineCall:
        return engine_call(
            self._engine,
            self._bases,
            environ["REQUEST_METHOD"],
            _raw_target(environ),
            request_headers(environ),
            self._core.limits,
        )

    def _forward(self, call: EngineCall, environ: WSGIEnvironment) -> Response:
        body = _RequestBody(call, environ) if call.progress.has_body else NO_BODY
        with engine_errors(self._engine):
            response = self._client.send(to_httpx(call, self._engine, body), stream=True)
        try:
            fields = response_fields(response.status_code, response.headers.raw)
        except RequestError:
            response.close()
            raise
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]
        return RawResponse(
            _EngineChunks(response, self._engine), response.status_code, headers, direct_passthrough=True
        )


class RawResponse(Response):
    """The response of an engine: no header is added, corrected or removed."""

    default_mimetype = None

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        return self.headers


class _RequestBody(httpx.SyncByteStream):
    def __init__(self, call: EngineCall, environ: WSGIEnvironment) -> None:
        self._progress = call.progress
        self._environ = environ

    def __iter__(self) -> Iterator[bytes]:
        for chunk in body_chunks(self._environ, self._progress):
            self._progress.count(len(chunk))
            sent = time.monotonic()
            yield chunk
            self._progress.extend_deadline(time.monotonic() - sent)
        self._progress.require_complete()


class _EngineChunks(Iterator[bytes]):
    """The engine's response body as it arrives; closing it releases the connection.

    The first chunk is empty: WSGI servers hold back the headers until there is one, and the engine may be slow.
    """

    def __init__(self, response: httpx.Response, engine: EngineSettings) -> None:
        self._response = response
        self._engine = engine
        self._chunks = chain([b""], response.iter_raw())

    def __next__(self) -> bytes:
        with engine_errors(self._engine):
            return next(self._chunks)

    def close(self) -> None:
        self._response.close()


def _raw_target(environ: WSGIEnvironment) -> RawTarget:
    """Return the request target as sent, or the decoded path encoded again if the server keeps no other.

    A scheme and host in it name this server, and a fragment means nothing to an engine: both are removed.
    """
    mount = environ.get("SCRIPT_NAME", "").encode("latin-1").decode("utf-8", "replace")
    sent = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if not sent:
        path = (environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"]).encode("latin-1")
        return RawTarget(quote(path).encode(), environ.get("QUERY_STRING", "").encode("latin-1"), mount)
    target = _SCHEME_AND_HOST.sub(b"", sent.encode("latin-1"))
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return RawTarget(path, query, mount)
