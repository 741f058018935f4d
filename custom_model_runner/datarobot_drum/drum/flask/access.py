"""The decision about each request, as plain WSGI middleware."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.flask.messages import to_flask
from datarobot_drum.drum.flask.middleware import read_header
from datarobot_drum.drum.serving.access.gate import AccessGate, AccessRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class AccessMiddleware:
    """Passes on the requests that the gate admits, without the header of the key."""

    def __init__(self, app: WSGIApplication, gate: AccessGate) -> None:
        self._app = app
        self._gate = gate

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        header = partial(read_header, environ)
        request = AccessRequest(environ["REQUEST_METHOD"], path, header, environ.get("REMOTE_ADDR", ""))
        decision = self._gate.decide(request)

        def start_with_headers(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            added = decision.headers_to_add(name for name, _ in headers)
            return start_response(status, [*headers, *added], exc_info)

        if decision.response is not None:
            return to_flask(decision.response)(environ, start_with_headers)
        for name in decision.key_headers:
            del environ[f"HTTP_{name.upper().replace('-', '_')}"]
        return self._app(environ, start_with_headers)
