"""Limits of the request line and the headers, and the responses of a server to requests that never reach the app."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from datarobot_drum.drum.exceptions import RequestError
from datarobot_drum.drum.serving.errors import openai_error
from datarobot_drum.drum.serving.headers import standard_headers
from datarobot_drum.drum.serving.messages import json_response
from datarobot_drum.drum.tracing.request_id import accept_request_id

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of the request line and the headers together."""

MAX_HEADER_FIELDS = 100

MAX_LENGTH_DIGITS = 18
"""Digits of a Content-Length that fits in 63 bits."""

HEAD_SECONDS = 30.0
"""Seconds for request line and headers on a server without an upload timeout of its own."""


LINGER_SECONDS = 0.5
"""Seconds for which the rest of a rejected request is read and dropped, so that its client can read the response."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""An interim response, allowed at any time before the response (RFC 9110, 15.2)."""


class Rejection(NamedTuple):
    """The response to a request that is not passed to the app."""

    status: HTTPStatus
    message: str


LINE_TOO_LONG = Rejection(HTTPStatus.REQUEST_URI_TOO_LONG, "The request line is longer than 64 KiB.")
TOO_LARGE = Rejection(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request line and headers are larger than 64 KiB."
)
TOO_MANY_FIELDS = Rejection(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request has more than 100 header fields.")
TOO_SLOW = Rejection(
    HTTPStatus.REQUEST_TIMEOUT, "The request line and headers did not arrive in time (DRUM_UPLOAD_TIMEOUT)."
)
INVALID = Rejection(HTTPStatus.BAD_REQUEST, "The request is not valid HTTP.")
FAILED = Rejection(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed before it could handle the request.")


TRUNCATED = Rejection(HTTPStatus.BAD_REQUEST, "The request body ended early, or its chunks are malformed.")
UNKNOWN_EXPECTATION = Rejection(HTTPStatus.EXPECTATION_FAILED, "The only expectation that is known is 100-continue.")

METHODS = frozenset(
    b"GET HEAD POST PUT DELETE OPTIONS TRACE PATCH QUERY COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND "
    b"REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE MKCALENDAR LINK "
    b"UNLINK SOURCE".split()
)
"""Methods that reach the app: those of uvicorn's parser without CONNECT, since this is no tunnel."""

_SINGLE_FIELDS = frozenset((b"host", b"content-length", b"content-type", b"transfer-encoding", b"expect"))
"""Fields that one request has once: two values would be read in two ways."""

_BLANKS = b" \t"
_AUTHORITY = rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(?::[0-9]*)?"
_HOST = re.compile(rb"(?:" + _AUTHORITY + rb")?")
_ABSOLUTE_TARGET = re.compile(rb"https?://" + _AUTHORITY + rb"/", re.IGNORECASE)


class HeadTimeout(Exception):
    """The client did not send its request line and headers in time."""


def may_start_request(data: bytes) -> bool:
    """Return whether a request may start with these bytes; TLS and other protocols do not."""
    return data[:1] == b"\r" or data[:1].isupper()


def check_head(
    method: bytes,
    target: bytes,
    version: bytes,
    fields: Sequence[tuple[bytes, bytes]],
) -> Rejection | None:
    """Return why a request is rejected before its body is read; None if it is not.

    Requests that two servers could read in two ways are rejected (RFC 9112, 3.2 and 6.3).

    Args:
        version: such as ``1.1``.
        fields: names in lower case, and values.
    """
    if len(target) > MAX_HEAD_BYTES:
        return LINE_TOO_LONG
    if len(fields) > MAX_HEADER_FIELDS:
        return TOO_MANY_FIELDS
    if _size(target, fields) > MAX_HEAD_BYTES:
        return TOO_LARGE
    values = dict(fields)
    if len(values) < len(fields) and _repeats_single_field(fields):
        return INVALID
    if method not in METHODS or not (_is_target(target) and _has_valid_host(version, values.get(b"host"))):
        return INVALID
    return _check_body_fields(version, values)


def _size(target: bytes, fields: Sequence[tuple[bytes, bytes]]) -> int:
    return len(target) + sum(len(name) + len(value) for name, value in fields)


def _repeats_single_field(fields: Sequence[tuple[bytes, bytes]]) -> bool:
    single = [name for name, _ in fields if name in _SINGLE_FIELDS]
    return len(set(single)) < len(single)


def _is_target(target: bytes) -> bool:
    return b"#" not in target and (target.startswith(b"/") or _ABSOLUTE_TARGET.match(target) is not None)


def _has_valid_host(version: bytes, host: bytes | None) -> bool:
    if host is None:
        return version == b"1.0"
    return version in (b"1.0", b"1.1") and _is_host(host.strip(_BLANKS))


@lru_cache(maxsize=256)
def _is_host(host: bytes) -> bool:
    return _HOST.fullmatch(host) is not None


def _check_body_fields(version: bytes, values: dict[bytes, bytes]) -> Rejection | None:
    length, coding, expectation = map(values.get, (b"content-length", b"transfer-encoding", b"expect"))
    if length is not None and not _is_length(length.strip(_BLANKS)):
        return INVALID
    if coding is not None and (_word(coding) != b"chunked" or version != b"1.1" or length is not None):
        return INVALID
    if expectation is not None and _word(expectation) != b"100-continue":
        return UNKNOWN_EXPECTATION
    return None


def _is_length(value: bytes) -> bool:
    return value.isdigit() and len(value) <= MAX_LENGTH_DIGITS


def _word(value: bytes) -> bytes:
    return value.strip(_BLANKS).lower()


def rejection_bytes(rejection: Rejection, more_headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Return the whole response, after which the connection closes.

    The route may not be known yet, so the response has OpenAI's ``error`` object, too.
    """
    error = RequestError(rejection.message)
    error.status = rejection.status
    content: Any = json_response({**error.payload, "error": openai_error(error)}).content
    own = {"Content-Type": "application/json", "Content-Length": str(len(content)), "Connection": "close"}
    headers = {**own, **standard_headers(accept_request_id(None))}
    lines = [*more_headers, *((name.lower().encode(), value.encode()) for name, value in headers.items())]
    status_line = b"HTTP/1.1 %d %s\r\n" % (rejection.status, rejection.status.phrase.encode())
    return b"".join([status_line, *(b"%s: %s\r\n" % line for line in lines), b"\r\n", content])
