"""A page that is served for every path that nothing else serves, and an app mounted at the root."""

from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send


async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("mounted")(scope, receive, send)


def init_app(app: FastAPI) -> None:
    @app.get("/pages/{path:path}")
    @app.get("/{path:path}")
    async def page(path: str) -> str:
        return f"page {path}"

    app.mount("/", mounted)
