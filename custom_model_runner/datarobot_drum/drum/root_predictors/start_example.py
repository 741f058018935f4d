"""Log how to call the model, once it is ready: the pages of the server, and a curl command."""

import logging
from importlib.util import find_spec

from datarobot_drum.drum.language_predictors.routed_predictor import served_models
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.serving.example_request import ROWS_FILE, example_curl
from datarobot_drum.drum.serving.routes import ROUTES
from datarobot_drum.drum.settings.address import reachable_host
from datarobot_drum.drum.settings.build import Settings
from datarobot_drum.drum.settings.routed_models import MODEL_HEADER

logger = logging.getLogger("drum")

_PAGES = ("/playground", "/docs")
_PAGE_FILES = "flask_swagger_ui"
_KEY_HEADER = "Authorization: Bearer YOUR_KEY"


def log_example(server: PredictionServer) -> None:
    """Log the pages and a curl command of a server with one worker; nothing if its model did not load."""
    settings, predictor = server.settings, server.predictor
    if server.load_error is not None or predictor is None or settings.workers != 1 or not settings.port:
        return
    url = server_url(settings)
    for path in documentation_pages(settings):
        logger.info("Try it in a browser: %s%s", url, path)
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


def documentation_pages(settings: Settings) -> list[str]:
    """Return the paths of pages for people: those that this version has and that are switched on and installed."""
    if not settings.server.enable_docs or find_spec(_PAGE_FILES) is None:
        return []
    served = {path for route in ROUTES for path in route.paths}
    return [path for path in _PAGES if path in served][:1]
