"""A middleware that reads the body before the prediction does, as the check of a signature must."""

from fastapi import FastAPI, Request, Response
from starlette.middleware.base import RequestResponseEndpoint


def init_app(app: FastAPI) -> None:
    @app.middleware("http")
    async def read_body(request: Request, call_next: RequestResponseEndpoint) -> Response:
        body = await request.body() if "X-Do-Not-Read" not in request.headers else b""
        response = await call_next(request)
        response.headers["X-Read-Bytes"] = str(len(body))
        return response
