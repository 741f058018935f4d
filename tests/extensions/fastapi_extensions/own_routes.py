"""Routers with security, error handlers, mounts, websockets, background tasks, a lifespan and work at start."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, Request, Security, WebSocket
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException as StarletteHTTPException

log: list[str] = []


class OwnError(Exception):
    """An error that the extension translates itself."""


def require_key(key: Annotated[str, Security(APIKeyHeader(name="X-Key"))]) -> None:
    if key != "the-key":
        raise HTTPException(403, "Another key is needed.")


private = APIRouter(prefix="/private", dependencies=[Security(require_key)])


@private.get("/hello")
async def hello() -> str:
    return "hello"


def add_routes(app: FastAPI) -> None:
    @app.get("/log")
    async def read_log() -> list[str]:
        return log

    @app.get("/own-error")
    async def raise_own_error() -> None:
        raise OwnError("mine")

    @app.get("/unexpected")
    async def raise_unexpected() -> None:
        raise ZeroDivisionError("nobody handles me")

    @app.get("/teapot")
    async def raise_http_error() -> None:
        raise HTTPException(418, "short")

    @app.post("/background")
    async def begin_task(tasks: BackgroundTasks) -> str:
        tasks.add_task(log.append, "background task")
        return "begun"

    @app.get("/capabilities/")
    async def own_capabilities() -> dict[str, str]:
        return {"from": "extension"}

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()


def add_exception_handlers(app: FastAPI) -> None:
    @app.exception_handler(OwnError)
    async def on_own_error(request: Request, error: OwnError) -> JSONResponse:
        return JSONResponse({"handled": str(error)}, 409)

    @app.exception_handler(Exception)
    async def on_exception(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"handled": type(error).__name__}, 500)

    @app.exception_handler(StarletteHTTPException)
    async def on_http_exception(request: Request, error: StarletteHTTPException) -> JSONResponse:
        return JSONResponse({"handled": "HTTPException", "code": error.status_code}, error.status_code)


def add_lifespan(app: FastAPI) -> None:
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with inner(app) as state:
            task = asyncio.create_task(log_from_task())
            log.append("lifespan")
            yield state
            task.cancel()
            print("lifespan has ended", flush=True)

    app.router.lifespan_context = lifespan


async def log_from_task() -> None:
    log.append("task")
    await asyncio.Event().wait()


def init_app(app: FastAPI) -> None:
    app.include_router(private)
    add_routes(app)
    add_exception_handlers(app)
    add_lifespan(app)
    mounted = FastAPI()
    app.mount("/mounted", mounted)

    @mounted.get("/hello")
    async def hello_from_mount() -> str:
        return "mounted"
