"""The number of server processes."""

import logging

from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.declaration import Parameter, Resolution, clamp
from datarobot_drum.drum.settings.environment import read_variable
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETERS, WORKER_LIMITS
from datarobot_drum.drum.settings.value_parsers import Kind
from datarobot_drum.runtime_parameters.origins import DEFAULT, Origin, Source

logger = logging.getLogger(__name__)

_UVICORN_WORKERS = Parameter(
    name="UVICORN_WORKERS", kind=Kind.INTEGER, help="Processes of an external launch.", limits=WORKER_LIMITS
)


def count_workers(
    arguments: Arguments, given: Resolution, server_type: str, errors: list[RuntimeParameterError]
) -> tuple[int, Origin]:
    """Return ``--max-workers``, else ``CUSTOM_MODEL_WORKERS``, else (fastapi only) ``UVICORN_WORKERS``, else 1."""
    parameter = given.values.get("custom_model_workers")
    workers, origin = 1, DEFAULT
    if arguments.max_workers is not None:
        if parameter not in (None, arguments.max_workers):
            logger.warning("--max-workers=%s wins over CUSTOM_MODEL_WORKERS.", arguments.max_workers)
        workers = clamp("--max-workers", arguments.max_workers, WORKER_LIMITS)
        origin = arguments.origin_of("max_workers")
    elif parameter is not None:
        workers, origin = parameter, given.origins[SERVER_PARAMETERS["custom_model_workers"].name]
    elif server_type == "fastapi" and (text := read_variable(_UVICORN_WORKERS.name)).strip():
        try:
            workers, origin = _UVICORN_WORKERS.parse(text), Origin(Source.VARIABLE, _UVICORN_WORKERS.name)
        except RuntimeParameterError as error:
            errors.append(error)
    if server_type == "flask" and workers > 1:
        logger.warning("The flask server is one process: choose gunicorn or fastapi for %s workers.", workers)
        return 1, DEFAULT
    return int(workers), origin
