"""The server process of ``drum server --reload``: serves the model, or the error of a start that failed.

``python -m datarobot_drum.drum.commands.development.reloaded_server [ERROR]``; the arguments are in the environment.
"""

import dataclasses
import logging
import os
import sys
import threading
from functools import partial

from datarobot_drum.drum.commands.server import SERVERS, start
from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.process.children import end_with_parent
from datarobot_drum.drum.process.logs import configure_logging
from datarobot_drum.drum.process.signals import exit_on_signals, exit_process
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import (
    DEFAULT_LOGGING_LEVEL,
    Settings,
    arguments_from_environment,
    draft_settings,
    export_environment,
)
from datarobot_drum.drum.settings.build_record import BuildRecord

logger = logging.getLogger("drum")


def main() -> None:
    """Serve until a signal and exit the process."""
    exit_on_signals()
    arguments = arguments_from_environment()
    configure_logging(arguments.logging_level or ("debug" if arguments.verbose else DEFAULT_LOGGING_LEVEL))
    watch_parent = partial(end_with_parent, os.getppid())
    threading.Thread(target=watch_parent, name="drum-parent-watch", daemon=True).start()
    exit_process(_serve(arguments, " ".join(sys.argv[1:])))


def _serve(arguments: Arguments, failure: str) -> int:
    try:
        if failure:
            return _serve_error(arguments, StartupError(failure))
        try:
            return start(arguments)
        except StartupError as error:
            logger.debug("Serving the error of the start.", exc_info=error)
            return _serve_error(arguments, error)
    except StartupError as error:
        logger.error("The error cannot be served: %s", error)
        return error.exit_code


def _serve_error(arguments: Arguments, error: StartupError) -> int:
    """Respond 513 with the error, as the error server does.

    Raises:
        StartupError: keys, certificates or the address are wrong, so nothing can be served.
    """
    record = BuildRecord(collects=True)
    settings = draft_settings(arguments, record)
    for fatal in record.fatal_errors:
        raise fatal
    settings = _for_one_process(settings, error)
    configure_logging(settings.logging_level, settings.server.log_format)
    export_environment(settings)
    return int(import_from_string(SERVERS[settings.server.server_type])(settings))


def _for_one_process(settings: Settings, error: StartupError) -> Settings:
    """Return the settings of an error server without workers, which would read the wrong settings again."""
    server_type = "fastapi" if settings.server.server_type == "fastapi" else "flask"
    access = settings.access
    if server_type == "flask" and access.tls is not None:
        logger.warning("The error is served over plain HTTP.")
        access = dataclasses.replace(access, tls=None)
    server = dataclasses.replace(
        settings.server, server_type=server_type, custom_model_workers=1, fastapi_max_requests=0, grpc_port=0
    )
    return dataclasses.replace(
        settings, server=server, workers=1, access=access, parameter_error=error, with_error_server=True
    )


if __name__ == "__main__":
    main()
