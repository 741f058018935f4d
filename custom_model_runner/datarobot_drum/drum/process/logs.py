"""Logging of a server process: one format on standard error for all server types."""

import logging
import sys
from typing import Any

from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.tracebacks import MAX_ERROR_TEXT, format_exception, shorten
from datarobot_drum.drum.tracing.request_id import request_id
from datarobot_drum.drum.tracing.spans import trace_fields
from datarobot_drum.runtime_parameters.masking import SecretFilter

TEXT, JSON = "text", "json"
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s%(request)s"

MAX_MESSAGE = 2 * MAX_ERROR_TEXT
_OWN_LOGGERS = ("datarobot_drum", "drum")

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), 127)}


class _Formatter(logging.Formatter):
    """Appends the request id, and escapes control characters: a client must not inject log lines."""

    def formatException(self, ei: Any) -> str:
        return format_exception(ei)

    def formatMessage(self, record: logging.LogRecord) -> str:
        identifier = request_id.get()
        record.request = f" request_id={identifier}" if identifier else ""
        record.message = record.message.translate(_CONTROL).replace("\n", "\\n")
        return super().formatMessage(record)


class _Context(logging.Filter):
    """Adds request and trace ids to a record, for a formatter that prints every field."""

    def filter(self, record: logging.LogRecord) -> bool:
        if identifier := request_id.get():
            record.request_id = identifier
        for name, value in trace_fields().items():
            setattr(record, name, value)
        return True


class _ShortMessages(logging.Filter):
    """Shortens the messages of this package, which may quote an error of the model."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith(_OWN_LOGGERS):
            message = record.getMessage()
            if len(message) > MAX_MESSAGE:
                record.msg, record.args = shorten(message, MAX_MESSAGE), ()
        return True


def _json_formatter() -> logging.Formatter:
    formatter: Any = import_from_string("pythonjsonlogger.orjson:OrjsonFormatter")
    created: logging.Formatter = formatter(
        "{levelname}{name}{message}",
        style="{",
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
    )
    created.formatException = format_exception  # type: ignore[method-assign, assignment]
    return created


def log_handler(log_format: str = TEXT) -> logging.Handler:
    """Return a handler for standard error that masks credentials."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == JSON:
        handler.setFormatter(_json_formatter())
        handler.addFilter(_Context())
    else:
        handler.setFormatter(_Formatter(FORMAT))
    handler.addFilter(_ShortMessages())  # before the secrets are masked: that takes time for long texts
    handler.addFilter(SecretFilter())
    return handler


def configure_logging(level: str, log_format: str = TEXT) -> None:
    """Log everything at ``level`` and above to standard error, including the web servers' loggers."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.addHandler(log_handler(log_format))
    root.setLevel(level.upper())
    # This server logs starts, stops and requests itself; these loggers would duplicate them.
    for name in ("uvicorn.access", "uvicorn.error", "werkzeug", "httpx"):
        logging.getLogger(name).setLevel(logging.DEBUG if root.level == logging.DEBUG else logging.WARNING)
    for name in ("httpcore", "asyncio", "python_multipart.multipart"):
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
