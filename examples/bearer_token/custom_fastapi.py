"""On FastAPI: every route, probes included, asks for the token. Plain ASGI, so streams pass untouched."""

import hmac

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from datarobot_drum import RuntimeParameters


class RequireToken:
    def __init__(self, app: ASGIApp, expected: bytes) -> None:
        self._app = app
        self._expected = expected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and not self._is_known(Headers(scope=scope)):
            body = '{"message":"ERROR: A valid token is needed."}'
            app = Response(body, 401, {"WWW-Authenticate": "Bearer"}, media_type="application/json")
        await app(scope, receive, send)

    def _is_known(self, headers: Headers) -> bool:
        return hmac.compare_digest(headers.get("authorization", "").encode("latin-1"), self._expected)


def init_app(app: FastAPI) -> None:
    credential = RuntimeParameters.get("ACCESS_TOKEN")
    if credential is None:
        raise ValueError("the runtime parameter ACCESS_TOKEN has no value")
    app.add_middleware(RequireToken, expected=f"Bearer {credential['apiToken']}".encode())
