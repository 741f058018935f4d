"""Limits of the request line and the headers, and the responses of a server to requests that never reach the app."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, NamedTuple

from datarobot_drum.drum.serving.headers import standard_headers
from datarobot_drum.drum.serving.messages import json_response
from datarobot_drum.drum.tracing.request_id import accept_request_id

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of the request line and the headers together."""

MAX_HEADER_FIELDS = 100

HEAD_SECONDS = 30.0
"""Seconds for request line and headers on a server without an upload timeout of its own."""


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


class HeadTimeout(Exception):
    """The client did not send its request line and headers in time."""


def check_head(target: str | bytes, fields: Iterable[tuple[Any, Any]]) -> Rejection | None:
    """Return why a request with this target and these header fields is rejected; None if it is not."""
    if len(target) > MAX_HEAD_BYTES:
        return LINE_TOO_LONG
    sizes = [len(name) + len(value) for name, value in fields]
    if len(sizes) > MAX_HEADER_FIELDS:
        return TOO_MANY_FIELDS
    return TOO_LARGE if len(target) + sum(sizes) > MAX_HEAD_BYTES else None


def rejection_bytes(rejection: Rejection, more_headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Return the whole response, after which the connection closes."""
    content: Any = json_response({"message": f"ERROR: {rejection.message}"}).content
    own = {"Content-Type": "application/json", "Content-Length": str(len(content)), "Connection": "close"}
    headers = {**own, **standard_headers(accept_request_id(None))}
    lines = [*more_headers, *((name.lower().encode(), value.encode()) for name, value in headers.items())]
    status_line = b"HTTP/1.1 %d %s\r\n" % (rejection.status, rejection.status.phrase.encode())
    return b"".join([status_line, *(b"%s: %s\r\n" % line for line in lines), b"\r\n", content])
