"""On FastAPI: every request but probes needs the token, websockets included. Plain ASGI, so streams pass unchanged."""

import hmac
import os

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from datarobot_drum import RuntimeParameters

PREFIX = os.environ.get("URL_PREFIX", "").strip("/")
PROBES = {"", "ping", "health", "livez", "readyz"}
"""Orchestrators send no token. To guard these too, empty the set."""

BODY = '{"message":"ERROR: A valid token is needed."}'


class RequireToken:
    def __init__(self, app: ASGIApp, expected: bytes) -> None:
        self._app = app
        self._expected = expected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_probe(scope) or self._has_token(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            response = Response(BODY, 401, {"WWW-Authenticate": "Bearer"}, media_type="application/json")
            await response(scope, receive, send)

    def _has_token(self, scope: Scope) -> bool:
        sent = Headers(scope=scope).get("authorization", "").encode("latin-1")
        return hmac.compare_digest(sent, self._expected)


def _is_probe(scope: Scope) -> bool:
    path: str = scope["path"].strip("/").removeprefix(PREFIX).strip("/")
    return scope["type"] == "http" and path in PROBES


def init_app(app: FastAPI) -> None:
    credential = RuntimeParameters.get("ACCESS_TOKEN")
    if credential is None:
        raise ValueError("the runtime parameter ACCESS_TOKEN has no value")
    app.add_middleware(RequireToken, expected=f"Bearer {credential['apiToken']}".encode())
