"""The composition root of ``drum``: arguments, settings, predictor, server. Only this module exits."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from datarobot_drum.drum.cli import parse_arguments
from datarobot_drum.drum.cores import THREAD_VARIABLES, CorePlan
from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.importing import import_from_string
from datarobot_drum.drum.listening import check_address
from datarobot_drum.drum.logs import configure_logging
from datarobot_drum.drum.process_end import end_process, stop_at_once_on_signals
from datarobot_drum.drum.settings import Settings, build_settings, export_arguments
from datarobot_drum.runtime_parameters import mask_secrets

logger = logging.getLogger("drum")

SERVERS = {
    "flask": "datarobot_drum.drum.werkzeug.serve:serve",
    "gunicorn": "datarobot_drum.drum.gunicorn.serve:serve",
    "fastapi": "datarobot_drum.drum.uvicorn.serve:serve",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``drum``; ends the process with the exit code of cli-and-parameters.md section 8."""
    arguments = parse_arguments(argv)
    stop_at_once_on_signals()
    configure_logging(arguments.logging_level or "info")
    try:
        exit_code = serve(build_settings(arguments))
    except StartupError as error:
        exit_code = report(error, with_traceback=arguments.show_stacktrace)
    end_process(exit_code)


def serve(settings: Settings) -> int:
    """Start the chosen server and return the exit code once it has stopped.

    Raises:
        StartupError: it could not start.
    """
    configure_logging(settings.logging_level, settings.server.log_format)
    check_address(settings.host, settings.port)
    logger.info("%s", start_line(settings))
    os.environ.update(export_arguments(settings))
    if settings.cores is not None:
        # Before anything loads a numeric library.
        os.environ.update(settings.cores.variables)
        logger.info("%s", core_line(settings, settings.cores))
    run: Callable[[Settings], int] = import_from_string(SERVERS[settings.server.server_type])
    return run(settings)


def core_line(settings: Settings, plan: CorePlan) -> str:
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


def report(error: StartupError, *, with_traceback: bool) -> int:
    """Say on standard error why the start failed, in one sentence unless a traceback was asked for."""
    if with_traceback:
        sys.stderr.write(mask_secrets("".join(traceback.format_exception(error))))
    sys.stderr.write(f"drum: error: {mask_secrets(str(error))}\n")
    return error.exit_code
