"""The app that a server of ours serves: routes of the table are answered past any framework.

Between server and route a framework has middleware, exception handlers and a router of its own, which take more time
than a small answer; importing it takes as long as the rest of the start. Where nobody has put anything there, it would
change nothing. It has the rest: paths and methods that are no route's.
"""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from datarobot_drum.drum.fastapi.middleware import RequestContextMiddleware, StdoutFlusherMiddleware
from datarobot_drum.drum.fastapi.routes import endpoints_for, exact_paths
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.serving.core import ServingCore

BUILDER = "datarobot_drum.drum.fastapi.app:build_app"


class FrontDoor:
    """An ASGI app without extensions; FastAPI is loaded, in a thread, for the first request that needs it.

    In front of an inference engine it is loaded at once: all paths below one route are the engine's.
    """

    def __init__(self, core: ServingCore) -> None:
        self.core = core
        self._endpoints = endpoints_for(core)
        self.served = exact_paths(core, self._endpoints)
        chains = {
            endpoint: RequestContextMiddleware(
                StdoutFlusherMiddleware(endpoint, core.flusher), core.request_log, core.worker_ctx
            )
            for _, endpoint in self._endpoints
        }
        self._chains = {path: chains[mounted.endpoint] for path, mounted in self.served.items()}
        self._framework: ASGIApp | None = self._build() if core.handlers.engine is not None else None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        mounted = self.served.get(scope["path"]) if scope["type"] == "http" else None
        if mounted is not None and scope["method"] in mounted.methods:
            await self._chains[scope["path"]](scope, receive, send)
        else:
            await (await self._app())(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """The ASGI lifespan: in its end, that of the worker."""
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.core.worker_ctx.cleanup_async()
        await send({"type": "lifespan.shutdown.complete"})

    async def _app(self) -> ASGIApp:
        async with self._building:
            if self._framework is None:
                self._framework = await asyncio.to_thread(self._build)
        return self._framework

    def _build(self) -> ASGIApp:
        app: ASGIApp = import_from_string(BUILDER)(self.core, endpoints=self._endpoints)
        return app
