"""Logging of a server process: one format on standard error for all server types."""

import json
import logging
import sys
from typing import Any

from datarobot_drum.drum.error_text import MAX_LOGGED_TEXT, format_exception, indented_lines, printable, shortened
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.tracing.request_id import request_id
from datarobot_drum.drum.tracing.spans import trace_fields
from datarobot_drum.runtime_parameters.masking import SecretFilter

TEXT, JSON = "text", "json"
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s%(request)s"

MAX_MESSAGE = 2 * MAX_LOGGED_TEXT
_OWN_LOGGERS = ("datarobot_drum", "drum")


class _Formatter(logging.Formatter):
    """Appends the request id, and escapes control characters: neither a client nor a model must forge log lines."""

    def format(self, record: logging.LogRecord) -> str:
        line, *traceback = super().format(record).split("\n", 1)
        return "\n".join((line, *map(indented_lines, traceback)))

    def formatException(self, ei: Any) -> str:
        return format_exception(ei)

    def formatMessage(self, record: logging.LogRecord) -> str:
        identifier = request_id.get()
        record.request = f" request_id={identifier}" if identifier else ""
        return printable(super().formatMessage(record))


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
                record.msg, record.args = shortened(message, MAX_MESSAGE), ()
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
    to_json = created.format
    created.format = lambda record: _ascii_controls(to_json(record))  # type: ignore[method-assign]
    return created


def _ascii_controls(document: str) -> str:
    """Escape the characters of a JSON document that JSON allows, but that control a terminal or end a line."""
    return document if document.isprintable() else "".join(map(_ascii_control, document))


def _ascii_control(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


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
