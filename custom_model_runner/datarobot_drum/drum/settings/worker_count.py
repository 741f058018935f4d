"""The number of server processes."""

import logging
from collections.abc import Mapping
from typing import Any

from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.declaration import Parameter, clamp
from datarobot_drum.drum.settings.environment import read_variable
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETERS, WORKER_LIMITS
from datarobot_drum.drum.settings.value_parsers import Kind

logger = logging.getLogger(__name__)

_UVICORN_WORKERS = Parameter(
    name="UVICORN_WORKERS", kind=Kind.INTEGER, help="Processes of an external launch.", limits=WORKER_LIMITS
)


def count_workers(arguments: Arguments, given: Mapping[str, Any], errors: list[RuntimeParameterError]) -> int:
    """Return ``--max-workers``, else ``CUSTOM_MODEL_WORKERS``, else (fastapi only) ``UVICORN_WORKERS``, else 1."""
    parameter = given.get("custom_model_workers")
    server_type = given.get("server_type", SERVER_PARAMETERS["server_type"].default)
    if arguments.max_workers is not None:
        if parameter not in (None, arguments.max_workers):
            logger.warning("--max-workers=%s wins over CUSTOM_MODEL_WORKERS.", arguments.max_workers)
        workers = clamp("--max-workers", arguments.max_workers, WORKER_LIMITS)
    elif parameter is not None:
        workers = parameter
    else:
        workers = _uvicorn_workers(errors) if server_type == "fastapi" else 1
    if server_type == "flask" and workers > 1:
        logger.warning("The flask server is one process: choose gunicorn or fastapi for %s workers.", workers)
        return 1
    return int(workers)


def _uvicorn_workers(errors: list[RuntimeParameterError]) -> int:
    text = read_variable(_UVICORN_WORKERS.name)
    try:
        return int(_UVICORN_WORKERS.parse(text)) if text.strip() else 1
    except RuntimeParameterError as error:
        errors.append(error)
        return 1
