"""Requests to an app without a server: Flask through WSGI, FastAPI through ASGI."""

import asyncio
from typing import Any

import httpx

from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer

URL = "http://server"


def ask(server: PredictionServer, method: str, path: str, **details: Any) -> httpx.Response:
    """One request to the app of ``server``, whichever framework it is of."""
    if server.uses_fastapi:
        return asyncio.run(_ask_asgi(server.app, method, path, **details))
    transport = httpx.WSGITransport(app=server.app)
    with httpx.Client(transport=transport, base_url=URL) as client:
        return client.request(method, path, **details)


async def _ask_asgi(app: Any, method: str, path: str, **details: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        return await client.request(method, path, **details)


def predict(server: PredictionServer) -> httpx.Response:
    return ask(server, "POST", "/predict/", content=b"x\n1\n2\n")
