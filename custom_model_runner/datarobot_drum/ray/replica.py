"""A replica: the FastAPI app with its model, executor and batches, in a process that Ray starts and stops."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.asgi import create_prediction_server
from datarobot_drum.drum.serving.messages import ModelRequest

if TYPE_CHECKING:
    from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer


def create_app() -> Any:
    """Return the app once its model is loaded: only then Ray sends requests.

    Raises:
        StartupError: the settings are wrong, or the model does not load and there is no error server. Ray tries
            again on a new process, then gives up and keeps the replicas of the version before.
    """
    server = create_prediction_server()
    server.state.finished.result()
    server.raise_load_failure()
    return server.app


class Replica:
    """The class of the deployment. Ray adds the calls of the app."""

    app: Any

    async def check_health(self) -> None:
        """Raise if a load balancer should send no requests to this replica: Ray then replaces it.

        Raises:
            RuntimeError: the model's readiness probe fails.
        """
        server: PredictionServer = self.app.state.prediction_server
        handlers = server.core.handlers
        if not server.settings.with_error_server or server.load_error is None:
            check = handlers.do_readyz
            response = (
                await asyncio.to_thread(check, ModelRequest()) if handlers.has_own_probes else check(ModelRequest())
            )
            if response.status != HTTPStatus.OK:
                raise RuntimeError(f"The replica is not ready: {response.content!r}.")
