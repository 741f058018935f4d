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
_GUNICORN_TIMEOUT = 600
_GUNICORN_MARGIN = 30
_MEGABYTE = 1024 * 1024
_LIMITS = {
    "fastapi": {
        "max_upload_size": 100 * _MEGABYTE,
        "executor_queue_timeout": 30.0,
        "request_timeout": 600.0,
        "upload_timeout": 30.0,
    },
    # Deployments on the older servers had none of these limits; what ran there must go on running.
    "gunicorn": {
        "max_upload_size": 0,
        "executor_queue_timeout": 3600.0,
        "request_timeout": 0.0,
        "upload_timeout": 0.0,
    },
    "flask": {
        "max_upload_size": 0,
        "executor_queue_timeout": 3600.0,
        "request_timeout": 0.0,
        "upload_timeout": 0.0,
    },
}


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
    share_model: bool = parameter(
        "DRUM_SHARE_MODEL",
        Kind.BOOLEAN,
        "Load the model once, before the workers are forked, so that they share its memory; none listens before that. "
        "A model that leaves threads, connections or CUDA behind is not shared.",
        default=False,
        servers=("gunicorn", "fastapi"),
    )
    llm_id: str = parameter(
        "LLM_ID",
        Kind.STRING,
        "The one entry of /models when the model has no hook get_supported_llm_models.",
        default="",
    )
    warm_up_file: str = parameter(
        "DRUM_WARM_UP_FILE",
        Kind.STRING,
        "Sample, relative to the code dir, that the model predicts before it counts as ready; without it, the file "
        "warm_up.csv (or .mtx, .json ...) of the code dir, if there is one.",
        default="",
    )
    strict_type_schema: bool = parameter(
        "DRUM_STRICT_TYPE_SCHEMA",
        Kind.BOOLEAN,
        "Refuse data that break the typeSchema of model-metadata.yaml; off, a warning is logged.",
        default=True,
    )
    log_format: str = parameter(
        "DRUM_LOG_FORMAT",
        Kind.CHOICE,
        "Log lines as text, or each as one JSON object.",
        default="text",
        choices=("text", "json"),
    )
    enable_docs: bool = parameter(
        "DRUM_ENABLE_DOCS",
        Kind.BOOLEAN,
        "Serve the OpenAPI document at /openapi.json and, with the extra docs, a page to read and try it at /docs.",
        default=True,
    )
    engine_host: str = parameter(
        "DRUM_ENGINE_HOST",
        Kind.STRING,
        "Host of the engine that --gpu-predictor names.",
        default="127.0.0.1",
    )
    engine_port: int = parameter(
        "DRUM_ENGINE_PORT",
        Kind.INTEGER,
        "Port of that engine.",
        default=8000,
        limits=(1, 65_535),
    )
    served_model_name: str = parameter(
        "served_model_name",
        Kind.STRING,
        "Model that the engine is asked for when a chat request names none, or datarobot-deployed-llm.",
        default="datarobot-deployed-llm",
    )
    engine_prompt_column: str = parameter(
        "DRUM_ENGINE_PROMPT_COLUMN",
        Kind.STRING,
        "Column of /predict/ input whose text the engine answers; without it, the only column.",
        default="promptText",
    )
    engine_timeout: float = parameter(
        "NIM_DIRECT_ACCESS_REQUEST_TIMEOUT",
        Kind.SECONDS,
        "Longest silence of the engine, before or within an answer: then 504, or the connection is aborted.",
        default=3600.0,
        limits=(0.1, 86_400),
    )
    engine_connections: int = parameter(
        "DRUM_ENGINE_CONNECTIONS",
        Kind.INTEGER,
        "Connections of each process to the engine for direct access, and as many for chat; who waits 30 s for one is "
        "answered 503.",
        default=100,
        limits=(1, 100_000),
    )
    engine_health_interval: float = parameter(
        "DRUM_ENGINE_HEALTH_INTERVAL",
        Kind.SECONDS,
        "Pause between two questions after the engine's health.",
        default=2.0,
        limits=(0.05, 600),
    )
    engine_forwards_authorization: bool = parameter(
        "DRUM_ENGINE_FORWARD_AUTHORIZATION",
        Kind.BOOLEAN,
        "Pass the Authorization header of direct access on to the engine.",
        default=False,
    )
    graceful_timeout: float = parameter(
        "DRUM_GUNICORN_GRACEFUL_TIMEOUT",
        Kind.SECONDS,
        "Time that requests in flight get to finish after a stop signal.",
        default=299.0,
        limits=(1, 3600),
    )
    lame_duck: float = parameter(
        "DRUM_LAME_DUCK_SECONDS",
        Kind.SECONDS,
        "After a stop signal: time to go on accepting connections, until balancers know that this server leaves.",
        default=3.0,
        limits=(0, 600),
        servers=("flask", "fastapi"),
    )
    request_timeout: float = parameter(
        "DRUM_CLIENT_REQUEST_TIMEOUT",
        Kind.SECONDS,
        "Longest handling of one request, then 504; 0 = no limit. On flask and gunicorn a limit moves predictions "
        "from the thread of the connection to a thread of their own.",
        computed="600 (flask, gunicorn: no limit)",
        limits=(0, 86_400),
    )
    upload_timeout: float = parameter(
        "DRUM_FASTAPI_UPLOAD_TIMEOUT",
        Kind.SECONDS,
        "Time a request body may take to arrive, and 1 s more for every 500 bytes that came, then 408; 0 = no limit.",
        computed="30 (flask: no limit)",
        limits=(0, 3600),
        servers=("flask", "fastapi"),
    )
    memory_budget: int = parameter(
        "DRUM_FASTAPI_MEMORY_BUDGET",
        Kind.SIZE,
        "Memory that request bodies cost one process; what is beyond three eighths of it goes to disk, however small.",
        default="40MB",
    )
    spool_directory: str = parameter(
        "DRUM_SPOOL_DIRECTORY",
        Kind.STRING,
        "Folder for the temporary files of large bodies; empty for that of TMPDIR.",
        default="",
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
    numeric_threads: int = parameter(
        "DRUM_NUMERIC_THREADS",
        Kind.INTEGER,
        "Threads of BLAS and OpenMP in each process, unless their own variables (OMP_NUM_THREADS ...) are set.",
        computed="cores / processes",
        limits=(1, 1024),
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
    max_batch_size: int | None = parameter(
        "DRUM_FASTAPI_MAX_BATCH_SIZE",
        Kind.INTEGER,
        "Rows of requests that came at the same time and are predicted at once; 0 or 1 = each request on its own.",
        computed="MAX_BATCH_SIZE of custom.py, else 0",
        limits=(0, 100_000),
        servers=_FASTAPI,
    )
    batch_wait_ms: int | None = parameter(
        "DRUM_FASTAPI_BATCH_WAIT_MS",
        Kind.INTEGER,
        "Milliseconds that the first request of a batch waits for others, beyond those that are there.",
        computed="BATCH_WAIT_MS of custom.py, else 0",
        limits=(0, 10_000),
        servers=_FASTAPI,
    )
    fastapi_keepalive: float = parameter(
        "DRUM_FASTAPI_KEEPALIVE",
        Kind.SECONDS,
        "How long an idle connection stays open; longer than the proxy in front keeps its own.",
        default=75.0,
        limits=(0, 3600),
        servers=_FASTAPI,
    )
    fastapi_max_requests: int = parameter(
        "DRUM_FASTAPI_MAX_REQUESTS",
        Kind.INTEGER,
        "Requests after which a worker is replaced; 0 = never.",
        default=0,
        limits=(0, 1_000_000_000),
        servers=_FASTAPI,
    )
    fastapi_max_requests_jitter: int = parameter(
        "DRUM_FASTAPI_MAX_REQUESTS_JITTER",
        Kind.INTEGER,
        "Random share added to the former, so that workers are not replaced all at once.",
        default=0,
        limits=(0, 1_000_000_000),
        servers=_FASTAPI,
    )
    fastapi_worker_timeout: float = parameter(
        "DRUM_FASTAPI_WORKER_TIMEOUT",
        Kind.SECONDS,
        "Time without a heartbeat after which a worker counts as hung, unless it loads its model or drains; while a "
        "prediction runs, DRUM_CLIENT_REQUEST_TIMEOUT is added. One of several fastapi workers is then replaced, and "
        "/livez of the management port fails once every worker is hung. 0 = never.",
        default=60.0,
        limits=(0, 3600),
    )
    management_port: int = parameter(
        "DRUM_MANAGEMENT_PORT",
        Kind.INTEGER,
        "Port, on the host of --address, where a process of its own answers /livez and /readyz for all workers, also "
        "while they are busy or hold the GIL; 0 = off.",
        default=0,
        limits=(0, 65_535),
    )
    use_watchdog: bool = parameter(
        "USE_NIM_WATCHDOG",
        Kind.BOOLEAN,
        "Ask the server's own /health/ again and again, and end the server once it has stopped answering.",
        default=False,
    )
    watchdog_attempts: int = parameter(
        "DRUM_WATCHDOG_ATTEMPTS",
        Kind.INTEGER,
        "Failed attempts in a row after which the watchdog ends the server.",
        default=3,
        limits=(1, 1000),
    )
    watchdog_timeout: float = parameter(
        "DRUM_WATCHDOG_TIMEOUT",
        Kind.SECONDS,
        "Time that each of the watchdog's attempts waits for its answer, and pause between two.",
        default=60.0,
        limits=(0.1, 3600),
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
    gunicorn_timeout: int = parameter(
        "DRUM_GUNICORN_TIMEOUT",
        Kind.INTEGER,
        "Seconds without a sign of life after which the master kills a worker; a sync worker gives none while it "
        "loads its model or predicts. 0 = never.",
        computed="DRUM_CLIENT_REQUEST_TIMEOUT + 30 if that is set, else 600",
        limits=(0, 86_400),
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
    if values["gunicorn_timeout"] is None:
        values["gunicorn_timeout"] = _gunicorn_timeout(values["request_timeout"])
    limits = _LIMITS[values["server_type"]]
    values |= {name: limit for name, limit in limits.items() if values[name] is None}
    values["numeric_threads"] = values["numeric_threads"] or 0
    if values["executor_workers"] is None:
        values["executor_workers"] = max(_FEWEST_EXECUTOR_WORKERS, _WORKERS_PER_PROCESS * workers)
    if values["executor_queue_depth"] is None:
        values["executor_queue_depth"] = _QUEUE_PER_WORKER * values["executor_workers"]
    if values["gunicorn_log_level"] is None:
        values["gunicorn_log_level"] = logging_level
    return ServerParameters(**values)


def _gunicorn_timeout(request_timeout: float | None) -> int:
    """More patient than the request timeout, which answers 504; the master only ever kills what hangs."""
    if request_timeout is None:
        return _GUNICORN_TIMEOUT
    return int(request_timeout) + _GUNICORN_MARGIN if request_timeout else 0


def markdown_table() -> str:
    """The server parameters as the README shows them."""
    return markdown_table_of(ServerParameters)


def help_text() -> str:
    """The server parameters as ``drum server --help`` shows them."""
    return help_text_of(ServerParameters)
