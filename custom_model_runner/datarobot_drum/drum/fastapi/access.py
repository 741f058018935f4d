"""The decision about each request, as plain ASGI middleware."""

from functools import partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datarobot_drum.drum.fastapi.messages import to_draining, to_starlette
from datarobot_drum.drum.fastapi.middleware import read_header
from datarobot_drum.drum.serving.access.gate import WEBSOCKET, AccessGate, AccessRequest, Decision

_BODY_FIELDS = frozenset((b"content-length", b"transfer-encoding"))


class AccessMiddleware:
    """Passes on the requests that the gate admits, WebSocket handshakes included, without the header of the key."""

    def __init__(self, app: ASGIApp, gate: AccessGate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        decision = self._gate.decide(_to_access_request(scope))
        if decision.cors_headers and scope["type"] == "http":
            send = partial(_send_with_headers, decision, send)
        if decision.response is None:
            await self._app(_without(scope, decision.key_headers), receive, send)
        elif scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
        else:
            translate = to_draining if _has_body(scope) else to_starlette
            await translate(decision.response)(scope, receive, send)


def _to_access_request(scope: Scope) -> AccessRequest:
    method = WEBSOCKET if scope["type"] == "websocket" else scope["method"]
    return AccessRequest(method, scope["path"], partial(read_header, scope), (scope.get("client") or ("",))[0])


def _without(scope: Scope, names: frozenset[str]) -> Scope:
    if not names:
        return scope
    dropped = {name.encode() for name in names}
    return {**scope, "headers": [field for field in scope["headers"] if field[0] not in dropped]}


def _has_body(scope: Scope) -> bool:
    return any(name in _BODY_FIELDS and value.strip() != b"0" for name, value in scope["headers"])


async def _send_with_headers(decision: Decision, send: Send, message: Message) -> None:
    if message["type"] == "http.response.start":
        sent = list(message.get("headers", ()))
        added = decision.headers_to_add(name.decode("latin-1") for name, _ in sent)
        message = {**message, "headers": [*sent, *((name.lower().encode(), value.encode()) for name, value in added)]}
    await send(message)
