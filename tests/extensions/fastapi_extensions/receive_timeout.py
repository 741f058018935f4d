"""Plain ASGI middleware that limits the time of every ``receive`` by a cancel scope."""

import anyio
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class ReceiveTimeout:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_in_time() -> Message:
            with anyio.fail_after(60):
                return await receive()

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-limited", b"yes")]
            await send(message)

        await self._app(scope, receive_in_time if scope["type"] == "http" else receive, send_marked)


def init_app(app: FastAPI) -> None:
    app.add_middleware(ReceiveTimeout)
