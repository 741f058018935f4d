"""A middleware function, and a subclass of ``BaseHTTPMiddleware``."""

from fastapi import FastAPI, Request, Response
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint


class MarkResponse(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["X-Class"] = request.method
        return response


def init_app(app: FastAPI) -> None:
    app.add_middleware(MarkResponse)

    @app.middleware("http")
    async def mark_response(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["X-Function"] = "seen"
        return response
