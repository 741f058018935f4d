"""Serves the model of ``CODE_DIR`` on a FastAPI app that has dependencies of its own: ``given_app.py PORT``."""

import sys

import uvicorn
from fastapi import Depends, FastAPI

from datarobot_drum.drum.root_predictors.prediction_server import PredictionServer
from datarobot_drum.drum.settings.build import settings_from_environment
from tests.extensions.fastapi_extensions.app_dependency import require_key

if __name__ == "__main__":
    # Without FastAPI's own documentation, which no dependency guards and which would hide that of the server.
    app = FastAPI(dependencies=[Depends(require_key)], openapi_url=None)
    PredictionServer(settings_from_environment("fastapi"), app=app).materialize()
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
