"""The server parameters, each declared once: name, kind, default, limits, servers and effect."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from datarobot_drum.drum.settings.access import AccessParameters
from datarobot_drum.drum.settings.compilation import CompileParameters
from datarobot_drum.drum.settings.declaration import Parameter, parameter, settings_of
from datarobot_drum.drum.settings.limits import InputLimits, default_limits
from datarobot_drum.drum.settings.load_policy import LoadParameters
from datarobot_drum.drum.settings.ray_parameters import RayParameters
from datarobot_drum.drum.settings.recording import RecordingParameters
from datarobot_drum.drum.settings.value_parsers import Kind

WORKER_LIMITS = (1, 40)
LOGGING_LEVELS = ("debug", "info", "warning", "error", "critical")

_FASTAPI = ("fastapi",)
_GUNICORN = ("gunicorn",)
_WORKERS_PER_PROCESS = 2
_MIN_EXECUTOR_WORKERS = 4
_QUEUE_PER_WORKER = 10
_GUNICORN_TIMEOUT = 600
_GUNICORN_MARGIN = 30
_MEGABYTE = 1024 * 1024
_DEFAULT_LIMITS = {
    "fastapi": {
        "max_upload_size": 100 * _MEGABYTE,
        "executor_queue_timeout": 30.0,
        "request_timeout": 600.0,
        "upload_timeout": 30.0,
    },
    # Existing deployments on these servers had no limits and must not fail for new ones.
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
class ServerParameters(
    AccessParameters, LoadParameters, CompileParameters, RecordingParameters, RayParameters, InputLimits
):
    """Final values: parsed, checked, and with every computed default filled in."""

    server_type: str = parameter(
        "DRUM_SERVER_TYPE",
        Kind.CHOICE,
        "Type of the server.",
        default="flask",
        choices=("flask", "gunicorn", "fastapi"),
        choice_aliases={"werkzeug": "flask", "uvicorn": "fastapi"},
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
        "Load the model once, before the workers are forked, so that they share its memory. The server does not listen "
        "until then. A model whose loading leaves threads, connections or CUDA is not shared.",
        default=False,
        servers=("gunicorn", "fastapi"),
    )
    llm_id: str = parameter(
        "LLM_ID",
        Kind.STRING,
        "The only entry of /models if the model has no hook get_supported_llm_models.",
        default="",
    )
    warm_up_file: str = parameter(
        "DRUM_WARM_UP_FILE",
        Kind.STRING,
        "Sample file, relative to the code dir, that the model predicts before it is ready; by default warm_up.csv (or "
        ".mtx, .json ...) in the code dir, if it exists.",
        default="",
    )
    strict_type_schema: bool = parameter(
        "DRUM_STRICT_TYPE_SCHEMA",
        Kind.BOOLEAN,
        "Reject data that violate the typeSchema of model-metadata.yaml; if off, log a warning.",
        default=True,
    )
    log_format: str = parameter(
        "DRUM_LOG_FORMAT",
        Kind.CHOICE,
        "Log lines as text or as JSON objects.",
        default="text",
        choices=("text", "json"),
    )
    enable_docs: bool = parameter(
        "DRUM_ENABLE_DOCS",
        Kind.BOOLEAN,
        "Serve the OpenAPI document at /openapi.json, a page to try the model at /playground, and, with the extra "
        "docs, an interactive page at /docs.",
        default=True,
    )
    info_details: bool = parameter(
        "DRUM_INFO_DETAILS",
        Kind.BOOLEAN,
        "Show the code dir, model-metadata.yaml and versions of libraries in /info/, and the command lines of the "
        "processes in /stats/; if off, they are null, and /openapi.json and /playground show no values of samples.",
        default=True,
    )
    model_header: bool = parameter(
        "DRUM_MODEL_HEADER",
        Kind.BOOLEAN,
        "Name the model that answered in the header X-Drum-Model of each response: name, version and digest.",
        default=True,
    )
    engine_host: str = parameter(
        "DRUM_ENGINE_HOST",
        Kind.STRING,
        "Host of the engine of --gpu-predictor.",
        default="127.0.0.1",
    )
    engine_port: int = parameter(
        "DRUM_ENGINE_PORT",
        Kind.INTEGER,
        "Port of the engine of --gpu-predictor.",
        default=8000,
        limits=(1, 65_535),
    )
    served_model_name: str = parameter(
        "served_model_name",
        Kind.STRING,
        "Model that chat requests to the engine name if they name none, or datarobot-deployed-llm.",
        default="datarobot-deployed-llm",
    )
    engine_prompt_column: str = parameter(
        "DRUM_ENGINE_PROMPT_COLUMN",
        Kind.STRING,
        "Column of the /predict/ input that holds the prompts; if it is absent, the only column.",
        default="promptText",
    )
    engine_timeout: float = parameter(
        "NIM_DIRECT_ACCESS_REQUEST_TIMEOUT",
        Kind.SECONDS,
        "Timeout of each read from the engine, then 504; a response that has started is aborted.",
        default=3600.0,
        limits=(0.1, 86_400),
    )
    engine_connections: int = parameter(
        "DRUM_ENGINE_CONNECTIONS",
        Kind.INTEGER,
        "Connections per process to the engine for direct access, and as many for chat; a request that waits 30 s for "
        "one gets 503.",
        default=100,
        limits=(1, 100_000),
    )
    engine_health_interval: float = parameter(
        "DRUM_ENGINE_HEALTH_INTERVAL",
        Kind.SECONDS,
        "Interval between health checks of the engine.",
        default=2.0,
        limits=(0.05, 600),
    )
    engine_forwards_authorization: bool = parameter(
        "DRUM_ENGINE_FORWARD_AUTHORIZATION",
        Kind.BOOLEAN,
        "Forward the credentials of direct access requests to the engine: Authorization, Cookie, keys and tokens.",
        default=False,
    )
    graceful_timeout: float = parameter(
        "DRUM_GRACEFUL_TIMEOUT",
        Kind.SECONDS,
        "Time for requests in flight to finish after a stop signal.",
        default=299.0,
        limits=(1, 3600),
        aliases=("DRUM_GUNICORN_GRACEFUL_TIMEOUT",),
    )
    lame_duck: float = parameter(
        "DRUM_LAME_DUCK_SECONDS",
        Kind.SECONDS,
        "Time after a stop signal in which connections are still accepted, until load balancers have removed the "
        "server.",
        default=3.0,
        limits=(0, 600),
        servers=("flask", "fastapi"),
    )
    request_timeout: float = parameter(
        "DRUM_CLIENT_REQUEST_TIMEOUT",
        Kind.SECONDS,
        "Timeout of a request, then 504; 0 = no limit. On flask and gunicorn a limit runs predictions in a separate "
        "thread instead of the connection's.",
        computed="600 (flask, gunicorn: no limit)",
        limits=(0, 86_400),
    )
    upload_timeout: float = parameter(
        "DRUM_UPLOAD_TIMEOUT",
        Kind.SECONDS,
        "Time to receive the request line and headers, then 408, and to receive the body, plus 1 s per 500 bytes "
        "received, then 408; 0 = no limit.",
        computed="30 (flask, gunicorn: no limit of the body)",
        limits=(0, 3600),
        aliases=("DRUM_FASTAPI_UPLOAD_TIMEOUT",),
    )
    write_timeout: float = parameter(
        "DRUM_WRITE_TIMEOUT",
        Kind.SECONDS,
        "Time that a client may go without reading its response; then the connection is reset and the prediction "
        "stops. Any progress restarts it. 0 = no limit.",
        default=60.0,
        limits=(0, 3600),
    )
    memory_budget: int = parameter(
        "DRUM_MEMORY_BUDGET",
        Kind.SIZE,
        "Memory for request bodies per process; data beyond three eighths of it is spooled to disk.",
        default="40MB",
        aliases=("DRUM_FASTAPI_MEMORY_BUDGET",),
    )
    spool_directory: str = parameter(
        "DRUM_SPOOL_DIRECTORY",
        Kind.STRING,
        "Folder for the temporary files of large bodies; empty: the system's (TMPDIR).",
        default="",
    )
    max_upload_size: int = parameter(
        "DRUM_MAX_UPLOAD_SIZE",
        Kind.SIZE,
        "Maximum size of a request body; a larger one gets 413.",
        computed="100MB (flask, gunicorn: no limit)",
        aliases=("DRUM_FASTAPI_MAX_UPLOAD_SIZE",),
    )
    executor_workers: int = parameter(
        "DRUM_EXECUTOR_WORKERS",
        Kind.INTEGER,
        "Prediction threads per process: the maximum of predictions at once.",
        computed="max(4, 2 x processes)",
        limits=(1, 256),
        servers=_FASTAPI,
        aliases=("DRUM_FASTAPI_EXECUTOR_WORKERS",),
    )
    concurrency: str = parameter(
        "DRUM_CONCURRENCY",
        Kind.CHOICE,
        "auto: the server finds how many predictions at once give the highest throughput, at most the prediction "
        "threads; fixed: always as many as threads.",
        default="auto",
        choices=("auto", "fixed"),
        servers=_FASTAPI,
        aliases=("DRUM_FASTAPI_CONCURRENCY",),
    )
    numeric_threads: int = parameter(
        "DRUM_NUMERIC_THREADS",
        Kind.INTEGER,
        "Threads of BLAS and OpenMP per process, unless their own variables (OMP_NUM_THREADS ...) are set.",
        computed="cores / processes",
        limits=(1, 1024),
        servers=_FASTAPI,
    )
    executor_queue_depth: int = parameter(
        "DRUM_EXECUTOR_QUEUE_DEPTH",
        Kind.INTEGER,
        "Maximum number of queued predictions per process.",
        computed="10 x executor workers",
        limits=(0, 100_000),
        servers=_FASTAPI,
        aliases=("DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH",),
    )
    executor_queue_timeout: float = parameter(
        "DRUM_EXECUTOR_QUEUE_TIMEOUT",
        Kind.SECONDS,
        "Maximum wait for a prediction thread or for the model to load, then 503; 0 rejects at once.",
        computed="30 (flask, gunicorn: 3600)",
        limits=(0, 3600),
        aliases=("DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT",),
    )
    max_batch_size: int | None = parameter(
        "DRUM_FASTAPI_MAX_BATCH_SIZE",
        Kind.INTEGER,
        "Maximum rows of a batch of concurrent requests that are predicted together; 0 or 1 = no batching.",
        computed="MAX_BATCH_SIZE of custom.py, else 0",
        limits=(0, 100_000),
        servers=_FASTAPI,
    )
    batch_wait_ms: int | None = parameter(
        "DRUM_FASTAPI_BATCH_WAIT_MS",
        Kind.INTEGER,
        "Milliseconds that the first request of a batch waits for further ones.",
        computed="BATCH_WAIT_MS of custom.py, else 0",
        limits=(0, 10_000),
        servers=_FASTAPI,
    )
    fastapi_keepalive: float = parameter(
        "DRUM_FASTAPI_KEEPALIVE",
        Kind.SECONDS,
        "Keep-alive timeout of idle connections; should exceed that of the proxy in front.",
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
        "Maximum random addition to the max requests, so that workers are not replaced at the same time.",
        default=0,
        limits=(0, 1_000_000_000),
        servers=_FASTAPI,
    )
    worker_timeout: float = parameter(
        "DRUM_WORKER_TIMEOUT",
        Kind.SECONDS,
        "Time without a heartbeat after which a worker counts as hung, unless it loads its model or drains; while a "
        "prediction runs, DRUM_CLIENT_REQUEST_TIMEOUT is added. One of several fastapi workers is then replaced, and "
        "/livez of the management port fails once every worker is hung. 0 = never.",
        default=60.0,
        limits=(0, 3600),
        aliases=("DRUM_FASTAPI_WORKER_TIMEOUT",),
    )
    management_port: int = parameter(
        "DRUM_MANAGEMENT_PORT",
        Kind.INTEGER,
        "Port, on the host of --address, where a process of its own answers /livez and /readyz for all workers, also "
        "while they are busy or hold the GIL; 0 = off.",
        default=0,
        limits=(0, 65_535),
    )
    metrics: str = parameter(
        "DRUM_METRICS",
        Kind.CHOICE,
        "Serve metrics for Prometheus at /metrics, with the extra metrics: on the management port, if there is one; on "
        "all ports, so on the main port, too; or off.",
        default="management",
        choices=("management", "all", "off"),
    )
    grpc_port: int = parameter(
        "DRUM_GRPC_PORT",
        Kind.INTEGER,
        "Port, on the host of --address, of the Open Inference Protocol over gRPC; needs the extra grpc. Other servers "
        "than fastapi do not start with it. 0 = off.",
        default=0,
        limits=(0, 65_535),
        servers=_FASTAPI,
    )
    use_watchdog: bool = parameter(
        "USE_NIM_WATCHDOG",
        Kind.BOOLEAN,
        "Request the server's own /health/ periodically, and terminate the server when it stops responding.",
        default=False,
    )
    watchdog_attempts: int = parameter(
        "DRUM_WATCHDOG_ATTEMPTS",
        Kind.INTEGER,
        "Consecutive failed health checks after which the watchdog terminates the server.",
        default=3,
        limits=(1, 1000),
    )
    watchdog_timeout: float = parameter(
        "DRUM_WATCHDOG_TIMEOUT",
        Kind.SECONDS,
        "Timeout of each health check of the watchdog, and interval between them.",
        default=60.0,
        limits=(0.1, 3600),
    )
    gunicorn_worker_class: str = parameter(
        "DRUM_GUNICORN_WORKER_CLASS",
        Kind.CHOICE,
        "Worker class; gevent requires the extra of that name.",
        default="sync",
        choices=("sync", "gthread", "gevent"),
        servers=_GUNICORN,
    )
    gunicorn_threads: int = parameter(
        "DRUM_GUNICORN_THREADS",
        Kind.INTEGER,
        "Threads per gthread worker.",
        default=1,
        limits=(1, 256),
        servers=_GUNICORN,
    )
    gunicorn_timeout: int = parameter(
        "DRUM_GUNICORN_TIMEOUT",
        Kind.INTEGER,
        "Seconds without a heartbeat after which the master kills a worker; a sync worker sends none while it loads "
        "its model or predicts. 0 = never.",
        computed="DRUM_CLIENT_REQUEST_TIMEOUT + 30 if that is set, else 600",
        limits=(0, 86_400),
        servers=_GUNICORN,
    )
    gunicorn_keepalive: int = parameter(
        "DRUM_GUNICORN_KEEPALIVE",
        Kind.INTEGER,
        "Keep-alive timeout of idle connections in seconds; sync workers close every connection.",
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
        "Maximum random addition to the max requests, so that workers are not replaced at the same time.",
        default=0,
        limits=(0, 1_000_000_000),
        servers=_GUNICORN,
    )
    gunicorn_backlog: int = parameter(
        "DRUM_GUNICORN_BACKLOG",
        Kind.INTEGER,
        "Maximum number of pending connections.",
        default=2048,
        limits=(1, 65_535),
        servers=_GUNICORN,
    )
    gunicorn_log_level: str = parameter(
        "DRUM_GUNICORN_LOG_LEVEL",
        Kind.CHOICE,
        "Log level of gunicorn.",
        computed="that of --logging-level",
        choices=LOGGING_LEVELS,
        servers=_GUNICORN,
    )

    @property
    def has_metrics(self) -> bool:
        """Whether there is a port that serves metrics."""
        return self.metrics == "all" or (self.metrics == "management" and bool(self.management_port))


SERVER_PARAMETERS: dict[str, Parameter] = settings_of(ServerParameters)
SERVER_PARAMETER_NAMES = frozenset(name for declared in SERVER_PARAMETERS.values() for name in declared.names)
"""The names of all server parameters, and their aliases."""


def fill_defaults(given: Mapping[str, Any], *, workers: int, logging_level: str) -> ServerParameters:
    """Return all parameters with defaults, including those that depend on the number of processes and the log level."""
    values = {name: declared.default_value for name, declared in SERVER_PARAMETERS.items()}
    values |= {name: value for name, value in given.items() if value is not None}
    values["custom_model_workers"] = workers
    if values["gunicorn_timeout"] is None:
        values["gunicorn_timeout"] = _gunicorn_timeout(values["request_timeout"])
    limits = _DEFAULT_LIMITS[values["server_type"]]
    values |= {name: limit for name, limit in limits.items() if values[name] is None}
    input_limits = default_limits(values, values["server_type"])
    values |= {name: limit for name, limit in input_limits.items() if values[name] is None}
    values["numeric_threads"] = values["numeric_threads"] or 0
    if values["executor_workers"] is None:
        values["executor_workers"] = max(_MIN_EXECUTOR_WORKERS, _WORKERS_PER_PROCESS * workers)
    if values["executor_queue_depth"] is None:
        values["executor_queue_depth"] = _QUEUE_PER_WORKER * values["executor_workers"]
    if values["gunicorn_log_level"] is None:
        values["gunicorn_log_level"] = logging_level
    return ServerParameters(**values)


def _gunicorn_timeout(request_timeout: float | None) -> int:
    """Return a timeout above the request timeout, which responds 504: gunicorn must kill only hung workers."""
    if request_timeout is None:
        return _GUNICORN_TIMEOUT
    return int(request_timeout) + _GUNICORN_MARGIN if request_timeout else 0
