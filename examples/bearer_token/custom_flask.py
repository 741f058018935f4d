"""On Flask and gunicorn: every route, probes included, asks for the token."""

import hmac

from flask import Flask, Response, request

from datarobot_drum import RuntimeParameters


def init_app(app: Flask) -> None:
    credential = RuntimeParameters.get("ACCESS_TOKEN")
    if credential is None:
        raise ValueError("the runtime parameter ACCESS_TOKEN has no value")
    expected = f"Bearer {credential['apiToken']}".encode()

    @app.before_request
    def require_token() -> Response | None:
        if hmac.compare_digest(request.headers.get("Authorization", "").encode("latin-1"), expected):
            return None
        headers = {"WWW-Authenticate": "Bearer"}
        return Response('{"message":"ERROR: A valid token is needed."}', 401, headers, content_type="application/json")
