"""Log how to call the model, once it is ready: its page, and a curl command."""

import logging

from datarobot_drum.drum.language_predictors.routed_predictor import served_models
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.serving.example_request import ROWS_FILE, example_curl
from datarobot_drum.drum.serving.routes import PLAYGROUND_ROUTE
from datarobot_drum.drum.settings.address import reachable_host
from datarobot_drum.drum.settings.build import Settings
from datarobot_drum.drum.settings.routed_models import MODEL_HEADER

logger = logging.getLogger("drum")

_KEY_HEADER = "Authorization: Bearer YOUR_KEY"


def log_example(server: PredictionServer) -> None:
    """Log the page and a curl command of a server with one worker; nothing if its model did not load."""
    settings, predictor = server.settings, server.predictor
    if server.load_error is not None or predictor is None or settings.workers != 1 or not settings.port:
        return
    url = server_url(settings)
    if settings.server.enable_docs:
        logger.info("Try it in a browser: %s%s", url, PLAYGROUND_ROUTE.paths[0])
    models = list(served_models(predictor, settings.model))
    default = settings.model.default_model
    name, own, model = next((entry for entry in models if entry[0] == default), models[0])
    headers = [_KEY_HEADER] if settings.access.has_keys else []
    headers += [f"{MODEL_HEADER}: {name}"] if name else []
    command = example_curl(own, model, url, headers)
    logger.info("Try it from another terminal: %s", command)
    if ROWS_FILE in command:
        logger.info("The columns of the model are not known: rows.csv stands for a csv file with a header and rows.")


def server_url(settings: Settings) -> str:
    """Return the URL at which a client on this machine reaches the server, without a slash at the end."""
    host = reachable_host(settings.host)
    host = f"[{host}]" if ":" in host else host
    scheme = "http" if settings.access.tls is None else "https"
    return f"{scheme}://{host}:{settings.port}{settings.url_prefix}"
