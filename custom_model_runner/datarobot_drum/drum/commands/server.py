"""``drum server``: settings, address, then the server that they name."""

import logging
from collections.abc import Callable

from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.management.owner import check_management_port
from datarobot_drum.drum.process.logs import configure_logging
from datarobot_drum.drum.process.sockets import check_address, raise_fd_limit
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import Settings, build_settings, export_environment
from datarobot_drum.drum.settings.cpu_threads import THREAD_VARIABLES, ThreadPlan

logger = logging.getLogger("drum")

SERVERS = {
    "flask": "datarobot_drum.drum.werkzeug.serve:serve",
    "gunicorn": "datarobot_drum.drum.gunicorn.serve:serve",
    "fastapi": "datarobot_drum.drum.uvicorn.serve:serve",
}


def serve(arguments: Arguments) -> int:
    """Start the chosen server and return the exit code once it has stopped.

    Raises:
        StartupError: it could not start.
    """
    settings = build_settings(arguments)
    configure_logging(settings.logging_level, settings.server.log_format)
    check_address(settings.host, settings.port)
    check_management_port(settings)
    raise_fd_limit()
    logger.info("%s", start_line(settings))
    if settings.cores is not None:
        logger.info("%s", core_line(settings, settings.cores))
    export_environment(settings)
    run: Callable[[Settings], int] = import_from_string(SERVERS[settings.server.server_type])
    return run(settings)


def core_line(settings: Settings, plan: ThreadPlan) -> str:
    """How the cores are shared, in one line."""
    kept = "" if len(plan.variables) == len(THREAD_VARIABLES) else ", as far as their variables are not set"
    return (
        f"{plan.cores:g} cores: {settings.workers} x {settings.server.executor_workers} prediction threads, "
        f"{plan.numeric_threads} for BLAS and OpenMP in each process{kept}."
    )


def start_line(settings: Settings) -> str:
    """What is about to be served, in one line."""
    model = settings.model
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    processes = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    return (
        f"Serving {model.code_dir} ({model.target_type.value}) with {settings.server.server_type}, "
        f"{processes}, at http://{host}:{settings.port}{settings.url_prefix}/"
    )
