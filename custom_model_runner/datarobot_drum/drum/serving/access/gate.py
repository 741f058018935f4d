"""The decision about each request, before its body is read and before an extension sees it.

::

    preflight request   responded here, without a key
    probe (GET, HEAD)   passed on, without a key and without a limit
    page (GET, HEAD)    without a valid key responded here, so an extension's route of this path stays closed
    everything else     401 without a valid key, 429 over the limit of the key (without one: of the address)
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from datarobot_drum.drum.exceptions import RequestError, TooManyRequests, Unauthorized
from datarobot_drum.drum.serving.access.cors import ALLOW_ORIGIN, CorsPolicy, Fields
from datarobot_drum.drum.serving.access.keys import KeyRing, sent_keys
from datarobot_drum.drum.serving.access.rate_limit import RateLimiter, client_network
from datarobot_drum.drum.serving.error_formats import ErrorFormat
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.routing_errors import path_error_format
from datarobot_drum.drum.settings.access import AccessSettings
from datarobot_drum.drum.tracing.spans import ReadHeader

PROBE_METHODS = ("GET", "HEAD")
RPC, WEBSOCKET = "RPC", "WEBSOCKET"
"""Methods of requests that are not plain HTTP."""

MISSING_KEY = "This server needs an API key: send it as Authorization: Bearer KEY, or as X-API-Key: KEY."
WRONG_KEY = "The API key is not valid."

NO_HEADERS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """A request as far as access is concerned.

    Args:
        method: in capitals; ``RPC`` for a gRPC call, ``WEBSOCKET`` for a handshake.
        path: decoded, as the router sees it.
        header: returns a header by its lower-case name; values of a repeated one are joined by commas.
        address: of the client, without its port.
    """

    method: str
    path: str
    header: ReadHeader
    address: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens with a request.

    Args:
        response: sent instead of passing the request on; None to pass it on.
        key_headers: lower-case names of headers that hold a valid key, to be removed: neither extension, model nor
            engine gets it.
        cors_headers: added to the response.
    """

    response: ModelResponse | None = None
    key_headers: frozenset[str] = NO_HEADERS
    cors_headers: Fields = ()

    def headers_to_add(self, names: Iterable[str]) -> Fields:
        """Return the headers to add to a response with these names; none if an extension has set its own."""
        if self.cors_headers and any(name.lower() == ALLOW_ORIGIN.lower() for name in names):
            return ()
        return self.cors_headers


class AccessGate:
    """Decides which requests are served.

    Args:
        probe_paths: paths of probes over HTTP.
        rpc_probe_paths: paths of probes over gRPC.
        prefix: of all routes of the server.
        error_formats: of errors, by the path; elsewhere the format follows from the path itself.
        open_pages: handlers of pages without content of the model, by the path.
    """

    def __init__(
        self,
        settings: AccessSettings,
        probe_paths: frozenset[str],
        rpc_probe_paths: frozenset[str] = frozenset(),
        prefix: str = "",
        error_formats: Mapping[str, ErrorFormat] | None = None,
        open_pages: Mapping[str, Callable[[ModelRequest], ModelResponse]] | None = None,
    ) -> None:
        self._error_formats = error_formats or {}
        self._open_pages = open_pages or {}
        self._keys = KeyRing(settings) if settings.has_keys else None
        self._limiter = RateLimiter(settings.rate_limit) if settings.rate_limit else None
        self._cors = CorsPolicy(settings.cors_origins)
        self._probes = {method: probe_paths for method in PROBE_METHODS} | {RPC: rpc_probe_paths}
        self._prefix = prefix

    def decide(self, request: AccessRequest) -> Decision:
        """Return what happens with a request over HTTP."""
        origin = request.header("origin")
        try:
            if self._cors.is_preflight(request.method, request.header("access-control-request-method"), origin):
                return Decision(self._cors.preflight(origin or "", request.header("access-control-request-headers")))
            return Decision(None, self.admit(request), self._cors.headers(origin))
        except RequestError as error:
            page = self._open_pages.get(request.path) if request.method in PROBE_METHODS else None
            if isinstance(error, Unauthorized) and page is not None:
                return Decision(page(ModelRequest()), cors_headers=self._cors.headers(origin))
            response = error_response(error, self._error_format(request.path))
            return Decision(response, cors_headers=self._cors.headers(origin))

    def admit(self, request: AccessRequest) -> frozenset[str]:
        """Return the names of the headers that hold a valid key.

        Raises:
            Unauthorized: there is no valid key.
            TooManyRequests: the client has sent too many requests, with a wrong key or a valid one.
        """
        path = f"/{request.path.lstrip('/')}"  # WSGI routers take several slashes at the start for one
        if path in self._probes.get(request.method, NO_HEADERS):
            return NO_HEADERS
        sent = sent_keys(request.header) if self._keys else {}
        valid = {name: digest for name, key in sent.items() if self._keys and (digest := self._keys.find(key))}
        self._count(next(iter(valid.values()), None) or client_network(request.address))
        if self._keys and not valid:
            raise Unauthorized(WRONG_KEY if sent else MISSING_KEY)
        return frozenset(valid)

    def _error_format(self, path: str) -> ErrorFormat:
        return self._error_formats.get(path) or path_error_format(path, self._prefix)

    def _count(self, client: bytes | str) -> None:
        wait = self._limiter.take(client) if self._limiter else 0.0
        if self._limiter and wait:
            raise TooManyRequests(self._limiter.limit.text, math.ceil(wait))
