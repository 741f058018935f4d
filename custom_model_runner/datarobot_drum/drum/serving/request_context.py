"""What belongs to one request wherever its work runs: its id, and the headers every answer carries."""

import re
import uuid
from contextvars import ContextVar

from datarobot_drum.version import __version__

REQUEST_ID_HEADER = "X-Request-ID"
VERSION_HEADER = "X-Drum-Version"

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,128}")

request_id: ContextVar[str] = ContextVar("request_id", default="")


def accept_request_id(value: str | None) -> str:
    """The id that the client sent if it is at most 128 visible ASCII characters, else a new one (http-api.md H6)."""
    # Some servers leave the blanks around a header's value to the application (RFC 9110, 5.5).
    identifier = (value or "").strip(" \t")
    return identifier if _VISIBLE_ASCII.fullmatch(identifier) else str(uuid.uuid4())


def contract_headers(identifier: str) -> dict[str, str]:
    """Headers of every answer, errors included."""
    return {VERSION_HEADER: __version__, REQUEST_ID_HEADER: identifier}
