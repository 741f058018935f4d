"""What belongs to one request wherever its work runs: its id, and the headers every answer carries."""

import logging
import re
import uuid
from contextvars import ContextVar

from datarobot_drum.version import __version__

REQUEST_ID_HEADER = "X-Request-ID"
VERSION_HEADER = "X-Drum-Version"

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,128}")

request_id: ContextVar[str] = ContextVar("request_id", default="")

access_logger = logging.getLogger("drum.access")


def accept_request_id(value: str | None) -> str:
    """The id that the client sent if it is at most 128 visible ASCII characters, else a new one (http-api.md H6)."""
    if value is not None and _VISIBLE_ASCII.fullmatch(value):
        return value
    return str(uuid.uuid4())


def contract_headers(identifier: str) -> dict[str, str]:
    """Headers of every answer, errors included."""
    return {VERSION_HEADER: __version__, REQUEST_ID_HEADER: identifier}


def log_access(method: str, path: str, status: int, seconds: float, *, is_probe: bool) -> None:
    """One line a request: probes at debug, since an orchestrator asks every second."""
    level = logging.DEBUG if is_probe and status < 400 else logging.INFO
    access_logger.log(level, "%s %s %d %.1f ms", method, path, status, seconds * 1000)
