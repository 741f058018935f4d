"""The Flask app for a server that is started by hand.

``gunicorn -c python:datarobot_drum.drum.gunicorn.config "datarobot_drum.drum.wsgi:create_app()"``
"""

from flask import Flask

from datarobot_drum.drum.model_loading.shared_model import inherited_model
from datarobot_drum.drum.process.logs import configure_logging
from datarobot_drum.drum.process.signals import exiting_on_signals
from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.settings.build import settings_from_environment


def create_app() -> Flask:
    """A Flask app with its model loaded; settings come from the environment (``CODE_DIR``, ``TARGET_TYPE`` ...).

    Raises:
        StartupError: the settings are wrong, or the model did not load.
    """
    settings = settings_from_environment("gunicorn")
    configure_logging(settings.logging_level, settings.server.log_format)
    server = PredictionServer(settings, Flask("datarobot_drum", static_folder=None), shared=inherited_model())
    with exiting_on_signals():
        server.materialize()
    app: Flask = server.app
    return app
