"""flask-cors and flask-limiter."""

from uuid import uuid4

from flask import Flask, request
from flask_cors import CORS
from flask_limiter import Limiter


def client_key() -> str:
    """Only clients that name themselves are limited."""
    return request.headers.get("X-Client") or str(uuid4())


def init_app(app: Flask) -> None:
    CORS(app, origins="https://page.example")
    Limiter(client_key, app=app, default_limits=["2 per hour"], storage_uri="memory://", headers_enabled=True)
