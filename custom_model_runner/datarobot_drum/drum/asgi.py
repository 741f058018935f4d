"""The FastAPI app for a server that is started by hand.

``uvicorn --factory datarobot_drum.drum.asgi:create_app``
"""

import logging

from fastapi import FastAPI

from datarobot_drum.drum.fastapi.app import new_app
from datarobot_drum.drum.process.logs import configure_logging
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.settings.build import settings_from_environment

logger = logging.getLogger(__name__)


def create_app() -> FastAPI:
    """A FastAPI app whose model loads while it answers probes; settings come from the environment.

    Raises:
        StartupError: the settings are wrong.
    """
    server = create_prediction_server()
    server.end_process_on_load_failure()
    app: FastAPI = server.app
    return app


def create_prediction_server() -> PredictionServer:
    """Return the server of an app in a process that something else starts; its model is loading.

    Raises:
        StartupError: the settings are wrong.
    """
    settings = settings_from_environment("fastapi")
    configure_logging(settings.logging_level, settings.server.log_format)
    if settings.server.use_watchdog:
        logger.warning("USE_NIM_WATCHDOG has no effect: only a server that drum starts knows its own address.")
    if settings.server.management_port:
        logger.warning("DRUM_MANAGEMENT_PORT has no effect: only a server that drum starts knows its own workers.")
    if settings.server.grpc_port:
        logger.warning("DRUM_GRPC_PORT has no effect: only a server that drum starts serves gRPC.")
    if settings.access.tls is not None:
        logger.warning("DRUM_TLS_CERT has no effect: give the certificate to the server that you start.")
    server = PredictionServer(settings, app=new_app())
    server.materialize()
    return server
