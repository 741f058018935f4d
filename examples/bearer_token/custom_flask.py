"""On Flask and gunicorn: every request but probes needs the token."""

import hmac
import os

from flask import Flask, Response, request

from datarobot_drum import RuntimeParameters

PREFIX = os.environ.get("URL_PREFIX", "").strip("/")
PROBES = {"", "ping", "health", "livez", "readyz"}
"""Orchestrators send no token. To guard these too, empty the set."""

BODY = '{"message":"ERROR: A valid token is needed."}'


def init_app(app: Flask) -> None:
    credential = RuntimeParameters.get("ACCESS_TOKEN")
    if credential is None:
        raise ValueError("the runtime parameter ACCESS_TOKEN has no value")
    expected = f"Bearer {credential['apiToken']}".encode()

    @app.before_request
    def require_token() -> Response | None:
        sent = request.headers.get("Authorization", "").encode("latin-1")
        if _is_probe(request.path) or hmac.compare_digest(sent, expected):
            return None
        return Response(BODY, 401, {"WWW-Authenticate": "Bearer"}, content_type="application/json")


def _is_probe(path: str) -> bool:
    return path.strip("/").removeprefix(PREFIX).strip("/") in PROBES
