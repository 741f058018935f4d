"""The short way in: a server of ours hands requests for routes of the table to them, past the framework.

Between server and route a framework has middleware, exception handlers and a router of its own, which take more time
than a small answer. Where nobody has put anything there, they would change nothing.
"""

from collections.abc import Mapping

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from datarobot_drum.drum.fastapi.middleware import RequestContextMiddleware, StdoutFlusherMiddleware
from datarobot_drum.drum.fastapi.routes import MountedPath
from datarobot_drum.drum.serving.core import ServingCore


class FrontDoor:
    """An ASGI app that answers for ``app``; whatever is no exact path of the table goes on to it.

    Args:
        served: routes by their exact path.
    """

    def __init__(self, app: FastAPI, core: ServingCore, served: Mapping[str, MountedPath]) -> None:
        self._app = app
        self.core = core
        self.served = served
        self._methods = {path: mounted.methods for path, mounted in served.items()}
        endpoints: dict[str, ASGIApp] = {path: mounted.endpoint for path, mounted in served.items()}
        chains = {
            endpoint: RequestContextMiddleware(
                StdoutFlusherMiddleware(endpoint, core.flusher), core.ledger, core.worker_ctx
            )
            for endpoint in set(endpoints.values())
        }
        self._chains = {path: chains[endpoint] for path, endpoint in endpoints.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path")
        if scope["type"] == "http" and path in self._methods and scope["method"] in self._methods[path]:
            await self._chains[path](scope, receive, send)
        else:
            await self._app(scope, receive, send)


def asgi_app_of(app: FastAPI) -> ASGIApp:
    """What a server of ours serves for ``app``."""
    found: ASGIApp = getattr(app.state, "front_door", app)
    return found
