"""The server parameters, each declared once: name, kind, default, limits, servers and what it does."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from datarobot_drum.runtime_parameters.declaration import (
    Kind,
    declarations_of,
    help_text_of,
    markdown_table_of,
    parameter,
)

WORKER_LIMITS = (1, 40)
LOGGING_LEVELS = ("debug", "info", "warning", "error", "critical")

_FASTAPI = ("fastapi",)
_GUNICORN = ("gunicorn",)
_WORKERS_PER_PROCESS = 2
_FEWEST_EXECUTOR_WORKERS = 4
_QUEUE_PER_WORKER = 10
_FASTAPI_LIMITS = {"max_upload_size": 100 * 1024 * 1024, "executor_queue_timeout": 30.0}
# Deployments on the older servers had neither limit; what ran there must go on running.
_UNLIMITED = {"max_upload_size": 0, "executor_queue_timeout": 3600.0}


@dataclasses.dataclass(frozen=True)
class ServerParameters:
    """Final values: read, checked, and with every computed default filled in."""

    server_type: str = parameter(
        "DRUM_SERVER_TYPE",
        Kind.CHOICE,
        "Which server answers.",
        default="flask",
        choices=("flask", "gunicorn", "fastapi"),
        aliases={"werkzeug": "flask", "uvicorn": "fastapi"},
    )
    custom_model_workers: int = parameter(
        "CUSTOM_MODEL_WORKERS",
        Kind.INTEGER,
        "Server processes, each with its own copy of the model; --max-workers wins over it.",
        computed="1 (fastapi: UVICORN_WORKERS if set)",
        limits=WORKER_LIMITS,
        servers=("gunicorn", "fastapi"),
    )
    graceful_timeout: float = parameter(
        "DRUM_GUNICORN_GRACEFUL_TIMEOUT",
        Kind.SECONDS,
        "Time that requests in flight get to finish after a stop signal.",
        default=299.0,
        limits=(1, 3600),
    )
    max_upload_size: int = parameter(
        "DRUM_FASTAPI_MAX_UPLOAD_SIZE",
        Kind.SIZE,
        "Largest request body; a larger one is answered 413.",
        computed="100MB (flask, gunicorn: no limit)",
    )
    executor_workers: int = parameter(
        "DRUM_FASTAPI_EXECUTOR_WORKERS",
        Kind.INTEGER,
        "Prediction threads of each process.",
        computed="max(4, 2 x processes)",
        limits=(1, 256),
        servers=_FASTAPI,
    )
    executor_queue_depth: int = parameter(
        "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH",
        Kind.INTEGER,
        "Predictions of each process that are admitted and wait for a thread.",
        computed="10 x executor workers",
        limits=(0, 100_000),
        servers=_FASTAPI,
    )
    executor_queue_timeout: float = parameter(
        "DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT",
        Kind.SECONDS,
        "Longest wait for a free thread or for the model to load, then 503; 0 refuses at once.",
        computed="30 (flask, gunicorn: 3600)",
        limits=(0, 3600),
    )
    fastapi_keepalive: float = parameter(
        "DRUM_FASTAPI_KEEPALIVE",
        Kind.SECONDS,
        "How long an idle connection stays open; longer than the proxy in front keeps its own.",
        default=75.0,
        limits=(0, 3600),
        servers=_FASTAPI,
    )
    gunicorn_worker_class: str = parameter(
        "DRUM_GUNICORN_WORKER_CLASS",
        Kind.CHOICE,
        "Kind of worker process; gevent needs the extra of that name.",
        default="sync",
        choices=("sync", "gthread", "gevent"),
        servers=_GUNICORN,
    )
    gunicorn_threads: int = parameter(
        "DRUM_GUNICORN_THREADS",
        Kind.INTEGER,
        "Threads of each gthread worker.",
        default=1,
        limits=(1, 256),
        servers=_GUNICORN,
    )
    gunicorn_keepalive: int = parameter(
        "DRUM_GUNICORN_KEEPALIVE",
        Kind.INTEGER,
        "Seconds that an idle connection stays open; sync workers close every connection.",
        default=75,
        limits=(0, 3600),
        servers=_GUNICORN,
    )
    gunicorn_max_requests: int = parameter(
        "DRUM_GUNICORN_MAX_REQUESTS",
        Kind.INTEGER,
        "Requests after which a worker is replaced; 0 = never.",
        default=0,
        limits=(0, 1_000_000_000),
        servers=_GUNICORN,
    )
    gunicorn_max_requests_jitter: int = parameter(
        "DRUM_GUNICORN_MAX_REQUESTS_JITTER",
        Kind.INTEGER,
        "Random share added to the former, so that workers are not replaced all at once.",
        default=0,
        limits=(0, 1_000_000_000),
        servers=_GUNICORN,
    )
    gunicorn_backlog: int = parameter(
        "DRUM_GUNICORN_BACKLOG",
        Kind.INTEGER,
        "Connections that may wait to be accepted.",
        default=2048,
        limits=(1, 65_535),
        servers=_GUNICORN,
    )
    gunicorn_log_level: str = parameter(
        "DRUM_GUNICORN_LOG_LEVEL",
        Kind.CHOICE,
        "Level of gunicorn's own log.",
        computed="that of --logging-level",
        choices=LOGGING_LEVELS,
        servers=_GUNICORN,
    )


SERVER_PARAMETERS = declarations_of(ServerParameters)
SERVER_PARAMETER_NAMES = frozenset(declaration.name for declaration in SERVER_PARAMETERS.values())


def complete(given: Mapping[str, Any], *, workers: int, logging_level: str) -> ServerParameters:
    """Fill in the defaults, those too that depend on the number of processes and the log level."""
    values = {name: declaration.default_value for name, declaration in SERVER_PARAMETERS.items()}
    values |= {name: value for name, value in given.items() if value is not None}
    values["custom_model_workers"] = workers
    limits = _FASTAPI_LIMITS if values["server_type"] == "fastapi" else _UNLIMITED
    values |= {name: limit for name, limit in limits.items() if values[name] is None}
    if values["executor_workers"] is None:
        values["executor_workers"] = max(_FEWEST_EXECUTOR_WORKERS, _WORKERS_PER_PROCESS * workers)
    if values["executor_queue_depth"] is None:
        values["executor_queue_depth"] = _QUEUE_PER_WORKER * values["executor_workers"]
    if values["gunicorn_log_level"] is None:
        values["gunicorn_log_level"] = logging_level
    return ServerParameters(**values)


def markdown_table() -> str:
    """The server parameters as the README shows them."""
    return markdown_table_of(ServerParameters)


def help_text() -> str:
    """The server parameters as ``drum server --help`` shows them."""
    return help_text_of(ServerParameters)
