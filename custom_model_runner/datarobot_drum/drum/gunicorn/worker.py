"""What our worker classes have in common: limits of requests, and JSON errors for those that never reach the app."""

import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gunicorn.http import errors
from gunicorn.http.body import Body, ChunkedReader

from datarobot_drum.drum.gunicorn.client_connection import ClientConnection
from datarobot_drum.drum.gunicorn.tls_connection import TlsConnection, secured
from datarobot_drum.drum.process.tls import TlsContexts
from datarobot_drum.drum.serving.chunked_body import ChunkedBody
from datarobot_drum.drum.serving.read_deadline import ReadDeadline
from datarobot_drum.drum.serving.request_head import (
    FAILED,
    HEAD_SECONDS,
    INVALID,
    LINE_TOO_LONG,
    LINGER_SECONDS,
    TOO_LARGE,
    TOO_MANY_FIELDS,
    TOO_SLOW,
    UNKNOWN_EXPECTATION,
    HeadTimeout,
    Rejection,
    check_head,
    rejection_bytes,
)

_OF_THE_APP = tuple(
    getattr(errors, name)
    for name in ("InvalidResponseHeader", "InvalidResponseHeaderName", "ConfigurationProblem")
    if hasattr(errors, name)
)
_BY_LIMIT = {"limit request headers fields": TOO_MANY_FIELDS}


@dataclass(frozen=True)
class RequestLimits:
    """Timeouts and sizes of requests; see ``ReadDeadline`` and ``ClientConnection``."""

    head_timeout: float = HEAD_SECONDS
    body_timeout: float = 0.0
    max_body: float = float("inf")
    write_timeout: float = 0.0


class Rejected(Exception):
    """A request whose headers are over the limits."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.message)
        self.rejection = rejection


class LimitedWorker:
    """Mixed into a worker class of gunicorn; the configuration calls ``head_received`` and ``request_ended``."""

    limits = RequestLimits()
    """Set by the configuration, which gunicorn reads before it starts workers."""

    tls: TlsContexts | None = None
    """Set by the configuration for TLS."""

    connection_class: type[ClientConnection] = ClientConnection
    cfg: Any
    log: Any

    def to_limited(self, connection: Any) -> Any:
        """Return the client's connection with deadlines, and with TLS if it is on.

        A certificate in gunicorn's own settings leaves the connection to gunicorn.

        Raises:
            OSError: the client has disconnected.
        """
        if self.cfg.is_ssl or isinstance(connection, ClientConnection):
            return connection
        deadline = ReadDeadline(self.limits.head_timeout, self.limits.body_timeout)
        limits = (deadline, self.limits.max_body, self.limits.write_timeout)
        if self.tls is None:
            return self.connection_class(connection, *limits)
        return TlsConnection(secured(connection, self.tls), *limits)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Respond to an error outside of the app; gunicorn closes the connection then."""
        if isinstance(exc, ssl.SSLError):
            self.log.debug("Closed a connection without a TLS handshake: %s", exc)
            return
        if isinstance(exc, HeadTimeout) and client.is_silent:
            return
        rejection = _rejection_of(exc)
        if rejection is FAILED:
            self.log.error("The server failed before it could handle a request.", exc_info=exc)
        else:
            self.log.warning("Rejected a request of %s: %s", (addr or ("a client",))[0], rejection.message)
        with suppress(OSError):
            client.settimeout(LINGER_SECONDS)
            client.sendall(rejection_bytes(rejection))
            client.shutdown(socket.SHUT_WR)
            _drain(client)


def head_received(request: Any) -> None:
    """Check the head that gunicorn has parsed, and start the deadline of the body.

    Raises:
        Rejected: it is over the limits.
    """
    connection = getattr(request.unreader, "sock", None)
    if isinstance(connection, ClientConnection):
        connection.start_body()
        if connection.scheme == "https":
            request.scheme = "https"
    fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]
    version = b"%d.%d" % tuple(request.version)
    rejection = check_head(request.method.encode("latin-1"), request.uri.encode("latin-1"), version, fields)
    if rejection is not None:
        raise Rejected(rejection)
    if isinstance(request.body.reader, ChunkedReader):
        request.body = Body(ChunkedBody(request.unreader.read))
        request.force_close()


def request_ended(request: Any) -> None:
    """Start the deadline of the next request of the connection."""
    connection = getattr(request.unreader, "sock", None)
    if isinstance(connection, ClientConnection):
        connection.start_head()


def _rejection_of(error: BaseException) -> Rejection:
    if isinstance(error, Rejected):
        return error.rejection
    if isinstance(error, HeadTimeout):
        return TOO_SLOW
    if isinstance(error, errors.LimitRequestLine):
        return LINE_TOO_LONG
    if isinstance(error, errors.LimitRequestHeaders):
        return _BY_LIMIT.get(str(error), TOO_LARGE)
    if isinstance(error, errors.ExpectationFailed):
        return UNKNOWN_EXPECTATION
    is_invalid = isinstance(error, errors.ParseException) and not isinstance(error, _OF_THE_APP)
    return INVALID if is_invalid else FAILED


def _drain(client: Any) -> None:
    """Read and drop what the client still sends, for a while: closing at once would reset the connection."""
    connection = client.raw_socket if isinstance(client, ClientConnection) else client
    deadline = time.monotonic() + LINGER_SECONDS
    while time.monotonic() < deadline and connection.recv(65_536):
        pass
