"""slowapi, with a limit for every route."""

from uuid import uuid4

from fastapi import FastAPI, Request
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIMiddleware


def client_key(request: Request) -> str:
    """Only clients that name themselves are limited."""
    return request.headers.get("X-Client") or str(uuid4())


def init_app(app: FastAPI) -> None:
    app.state.limiter = Limiter(client_key, default_limits=["2/hour"], headers_enabled=True)
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)  # type: ignore[arg-type]
    app.add_middleware(SlowAPIMiddleware)
