"""flask-httpauth before every request."""

from flask import Flask
from flask_httpauth import HTTPTokenAuth

auth = HTTPTokenAuth()


@auth.verify_token  # type: ignore[untyped-decorator]
def verify_token(token: str) -> str | None:
    return "someone" if token == "the-key" else None


def init_app(app: Flask) -> None:
    @app.before_request
    @auth.login_required  # type: ignore[untyped-decorator]
    def require_token() -> None:
        """Nothing more: the decorator responds to those without a token."""
