"""``drum server``: builds the settings and runs the server of the configured type."""

import logging
from collections.abc import Callable, Iterator

from datarobot_drum.drum.commands.target_type.detection import with_target_type
from datarobot_drum.drum.exceptions import StartupError, UsageError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.management.management_process import check_management_port, check_management_settings
from datarobot_drum.drum.process.logs import configure_logging
from datarobot_drum.drum.process.sockets import check_address, raise_fd_limit
from datarobot_drum.drum.process.tls import TlsContexts
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import Settings, build_settings, export_environment
from datarobot_drum.drum.settings.cpu_threads import THREAD_VARIABLES, ThreadPlan
from datarobot_drum.drum.settings.environment import forget_variable
from datarobot_drum.drum.settings.model_digest import export_digests
from datarobot_drum.drum.settings.model_identity import identities_of
from datarobot_drum.drum.settings.start_warnings import start_warnings
from datarobot_drum.runtime_parameters.origins import DEFAULT, Source

logger = logging.getLogger("drum")

SERVERS = {
    "flask": "datarobot_drum.drum.werkzeug.serve:serve",
    "gunicorn": "datarobot_drum.drum.gunicorn.serve:serve",
    "fastapi": "datarobot_drum.drum.uvicorn.serve:serve",
}


_RELOADER = "datarobot_drum.drum.commands.development.reloader:serve_with_reload"
_PAGE_OPENER = "datarobot_drum.drum.commands.development.page_opener:open_when_ready"
_SERVER_CHECKS = {
    "gunicorn": "datarobot_drum.drum.gunicorn.serve:check_packages",
    "fastapi": "datarobot_drum.drum.uvicorn.grpc_port:check_grpc_settings",
}


def serve(arguments: Arguments) -> int:
    """Run the server, with ``--reload`` below a process that restarts it, and return its exit code.

    Raises:
        UsageError: ``--json`` without ``--check``.
        StartupError: the server could not start.
    """
    if arguments.as_json:
        raise UsageError("--json is for --check: give both, or use drum config.")
    if arguments.reload:
        return int(import_from_string(_RELOADER)(arguments))
    return start(arguments)


def start(arguments: Arguments) -> int:
    """Run the server in this process and return its exit code.

    Raises:
        StartupError: the server could not start.
    """
    settings = build_settings(with_target_type(arguments))
    configure_logging(settings.logging_level, settings.server.log_format)
    check_address(settings.host, settings.port)
    check_management_port(settings)
    check_tls(settings)
    raise_fd_limit()
    for warning in start_warnings(settings):
        logger.warning("%s", warning)
    for effect in settings.platform.effects:
        logger.info("%s", effect)
    logger.info("%s", start_line(settings))
    if settings.thread_plan is not None:
        logger.info("%s", thread_plan_line(settings, settings.thread_plan))
    export_environment(settings)
    identity = identities_of(settings.model, export_digests(settings.model))[""]
    logger.info("Model %s, version %s, digest %s.", identity.name, identity.version, identity.digest)
    if arguments.open_docs:
        forget_variable("DRUM_OPEN")
        import_from_string(_PAGE_OPENER)(settings)
    run: Callable[[Settings], int] = import_from_string(SERVERS[settings.server.server_type])
    return run(settings)


def start_checks(settings: Settings) -> Iterator[Callable[[Settings], None]]:
    """Yield the checks of a start that need neither a port nor the model; each raises a StartupError."""
    yield check_management_settings
    yield check_tls
    if settings.server.server_type in _SERVER_CHECKS:
        yield import_from_string(_SERVER_CHECKS[settings.server.server_type])


def check_tls(settings: Settings) -> None:
    """Check that TLS, if it is on, can be served.

    Raises:
        StartupError: a file is missing or wrong, or the watchdog would need a certificate.
    """
    if settings.access.tls is None:
        return
    TlsContexts(settings.access.tls)
    if settings.access.tls.client_ca is not None and settings.server.use_watchdog:
        raise StartupError(
            "USE_NIM_WATCHDOG cannot be used with DRUM_TLS_CLIENT_CA: the watchdog has no certificate. Use the probes "
            "of DRUM_MANAGEMENT_PORT instead."
        )


def thread_plan_line(settings: Settings, plan: ThreadPlan) -> str:
    """Return the log line about CPUs and threads."""
    exception = "" if len(plan.variables) == len(THREAD_VARIABLES) else ", except where a variable is set"
    return (
        f"{plan.cpus:g} cores: {settings.workers} x {settings.server.executor_workers} prediction threads, "
        f"{plan.numeric_threads} for BLAS and OpenMP in each process{exception}."
    )


def start_line(settings: Settings) -> str:
    """Return the log line about the model, the server type and the address."""
    model = settings.model
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    processes = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    scheme = "http" if settings.access.tls is None else "https"
    origin = settings.origins.get("--target-type", DEFAULT)
    found = f", as the model is {origin.name}" if origin.source is Source.MODEL else ""
    return (
        f"Serving {model.code_dir} ({model.target_type.value}{found}) with {settings.server.server_type}, "
        f"{processes}, at {scheme}://{host}:{settings.port}{settings.url_prefix}/"
    )
