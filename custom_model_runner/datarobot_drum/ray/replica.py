"""A replica: the FastAPI app with its model, executor and batches, in a process that Ray starts and stops."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.asgi import create_prediction_server
from datarobot_drum.drum.serving.messages import ModelRequest
from datarobot_drum.drum.tracing.request_id import REQUEST_ID_HEADER

if TYPE_CHECKING:
    from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer

_REQUEST_ID = REQUEST_ID_HEADER.lower().encode()


class ReplicaApp:
    """The ASGI app of a prediction server. Ray's proxy sends ``X-Request-ID``, the same one, so the app does not."""

    def __init__(self, server: PredictionServer) -> None:
        self.server = server

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_without_id(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [field for field in message.get("headers", ()) if field[0] != _REQUEST_ID]
                message = {**message, "headers": headers}
            await send(message)

        await self.server.app(scope, receive, send_without_id if scope["type"] == "http" else send)


def create_app() -> ReplicaApp:
    """Return the app once its model is loaded: only then Ray sends requests.

    Raises:
        StartupError: the settings are wrong, or the model does not load and there is no error server. Ray tries
            again in a new process, then gives up and keeps the replicas of the version before.
    """
    server = create_prediction_server()
    server.state.finished.result()
    server.raise_load_failure()
    return ReplicaApp(server)


class Replica:
    """The class of the deployment. Ray adds the calls of the app."""

    app: ReplicaApp

    async def check_health(self) -> None:
        """Raise if a load balancer should send no requests to this replica: Ray then replaces it.

        Raises:
            RuntimeError: the model's readiness probe fails.
        """
        server = self.app.server
        handlers = server.core.handlers
        if not server.settings.with_error_server or server.load_error is None:
            check = handlers.do_readyz
            response = (
                await asyncio.to_thread(check, ModelRequest()) if handlers.has_own_probes else check(ModelRequest())
            )
            if response.status != HTTPStatus.OK:
                raise RuntimeError(f"The replica is not ready: {response.content!r}.")
