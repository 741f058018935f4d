"""Direct access: checks requests, and selects the path and headers that are forwarded to the engine.

The address of the engine comes from the configuration. The checks ensure that a path cannot change it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from datarobot_drum.drum.exceptions import BadGateway, BadRequest, NotFound
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.progress import BodyProgress
from datarobot_drum.drum.serving.headers import VERSION_HEADER
from datarobot_drum.drum.settings.engine import EngineSettings
from datarobot_drum.drum.settings.routed_models import MODEL_HEADER
from datarobot_drum.drum.tracing.request_id import REQUEST_ID_HEADER, request_id

HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    "upgrade".split()
)
"""Headers of one connection (RFC 9110, 7.6.1); those that ``Connection`` lists are dropped, too."""

_REPLACED_REQUEST_FIELDS = frozenset({"host", "content-length", "expect", REQUEST_ID_HEADER.lower()})
_REPLACED_RESPONSE_FIELDS = frozenset(
    {"date", "server", REQUEST_ID_HEADER.lower(), VERSION_HEADER.lower(), MODEL_HEADER.lower()}
)
"""Headers that this server sets itself."""

_CREDENTIALS = re.compile(
    r"(.*-)?authorization|cookie|(.*-)?(api|auth|access|security|session|id|bearer|csrf)-?(key|token)", re.IGNORECASE
)
"""Headers with which clients identify themselves to this server or a gateway; the engine needs none of them."""

_MAX_DECODINGS = 4
_INVISIBLE = re.compile(rb"[^\x21-\x7e]")
_FORBIDDEN = re.compile(rb"[\x00-\x1f\x7f\\@]|://")

Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class RawTarget:
    """The encoded target of a request. ``mount`` is the decoded path that the app is mounted at, usually empty."""

    path: bytes
    query: bytes = b""
    mount: str = ""


@dataclass(frozen=True)
class EngineCall:
    """A request to the engine without its body, which is streamed and counted by ``progress``."""

    method: str
    target: bytes
    headers: Fields
    progress: BodyProgress


def engine_call(
    engine: EngineSettings,
    bases: Iterable[str],
    method: str,
    raw: RawTarget,
    headers: Mapping[str, str],
    limits: BodyLimits,
) -> EngineCall:
    """Return the call to the engine for a request.

    Args:
        bases: the paths of our route, which are removed.

    Raises:
        BadRequest: the path is not allowed, or Content-Length is no number.
        PayloadTooLarge: Content-Length is over the limit.
    """
    progress = BodyProgress(headers, limits.max_size, limits.upload_timeout)
    target = _checked_path(_below(raw, bases)) + (b"?" + _checked_query(raw.query) if raw.query else b"")
    fields = _request_fields(headers, engine) + _framing(progress, method)
    return EngineCall(method, target, fields, progress)


def _below(raw: RawTarget, bases: Iterable[str]) -> bytes:
    """Return the path below the route, unchanged. Each byte of the route may be percent-encoded."""
    path = b"/" + raw.path.lstrip(b"/")
    decoded = unquote_to_bytes(path)
    for base in bases:
        route = (raw.mount + base).encode()
        if decoded == route or decoded.startswith(route + b"/"):
            sent = re.match(rb"(?:%%[0-9a-fA-F]{2}|.){%d}" % len(route), path, re.DOTALL)
            return path[sent.end() :] if sent else b""
    raise NotFound("There is no such route.")


def _checked_path(path: bytes) -> bytes:
    """Return ``path`` unchanged, if it stays a plain path however often it is decoded."""
    path = path or b"/"
    if not path.startswith(b"/") or _INVISIBLE.search(path):
        raise _path_error()
    decoded = path
    for _ in range(_MAX_DECODINGS):
        if decoded.startswith(b"//") or _FORBIDDEN.search(decoded) or _has_parent_segment(decoded):
            raise _path_error()
        again = unquote_to_bytes(decoded)
        if again == decoded:
            return path
        decoded = again
    raise _path_error()


def _has_parent_segment(path: bytes) -> bool:
    return any(segment.partition(b";")[0] == b".." for segment in path.split(b"/"))


def _checked_query(query: bytes) -> bytes:
    if _INVISIBLE.search(query):
        raise _path_error()
    return query


def _path_error() -> BadRequest:
    return BadRequest(
        "The path is not one that goes on to the engine: no .., //, ://, @, backslash or control character."
    )


def _request_fields(headers: Mapping[str, str], engine: EngineSettings) -> Fields:
    dropped = HOP_BY_HOP | _REPLACED_REQUEST_FIELDS | _named_by(headers.get("Connection", ""))
    kept = [
        (name, value)
        for name, value in headers.items()
        if name.lower() not in dropped
        and "_" not in name  # a CGI or WSGI application takes it for the same name with a hyphen
        and (engine.forwards_authorization or not _CREDENTIALS.fullmatch(name))
    ]
    own = [("Host", engine.url.removeprefix("http://")), (REQUEST_ID_HEADER, request_id.get())]
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in own + sorted(kept)]


def _framing(progress: BodyProgress, method: str) -> Fields:
    if progress.chunked:
        return [(b"Transfer-Encoding", b"chunked")]
    if progress.content_length is not None or method in ("POST", "PUT"):
        return [(b"Content-Length", b"%d" % (progress.content_length or 0))]
    return []


def response_fields(status: int, fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Return the headers of the engine's response that are forwarded to the client.

    Raises:
        BadGateway: the status is not one of a response, or the end of the body is ambiguous.
    """
    listed = list(fields)
    if not 200 <= status <= 599:
        raise BadGateway(f"The engine responded with status {status}.")
    codings = [value.strip().lower() for name, value in listed if name.lower() == b"transfer-encoding"]
    has_length = any(name.lower() == b"content-length" for name, _ in listed)
    if codings and (has_length or codings != [b"chunked"]):
        raise BadGateway("The engine sent a response whose end is ambiguous.")
    named = (_named_by(value.decode("latin-1")) for name, value in listed if name.lower() == b"connection")
    dropped = HOP_BY_HOP.union(_REPLACED_RESPONSE_FIELDS, *named)
    return [(name, value) for name, value in listed if name.decode("latin-1").lower() not in dropped]


def _named_by(connection: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in connection.split(","))
