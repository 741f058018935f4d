"""Direct access: which request goes on to the engine, and with which path and headers (http-api.md section 10).

The engine's address is settled before a request is read. Here it is made sure that the path is nothing but a path.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from datarobot_drum.drum.exceptions import BadRequest, NotFound
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.progress import BodyProgress
from datarobot_drum.drum.serving.headers import VERSION_HEADER
from datarobot_drum.drum.settings.engine import EngineSettings
from datarobot_drum.drum.tracing.request_id import REQUEST_ID_HEADER, request_id

HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    "upgrade".split()
)
"""They are for one connection (RFC 9110, 7.6.1), and so are those that Connection names."""

_OWN_REQUEST_FIELDS = frozenset({"host", "content-length", "expect", REQUEST_ID_HEADER.lower()})
_OWN_ANSWER_FIELDS = frozenset({"date", "server", REQUEST_ID_HEADER.lower(), VERSION_HEADER.lower()})
"""What this server says for itself."""

_MOST_DECODINGS = 4
_INVISIBLE = re.compile(rb"[^\x21-\x7e]")
_FORBIDDEN = re.compile(rb"[\x00-\x1f\x7f\\@]|://")

Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class RawTarget:
    """A request's target as it was sent, still encoded. ``mount``, decoded, is where the app hangs; as a rule empty."""

    path: bytes
    query: bytes = b""
    mount: str = ""


@dataclass(frozen=True)
class EngineCall:
    """What is asked of the engine; the body follows as it comes, counted by ``progress``."""

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
    """The call that a request stands for.

    Args:
        bases: what stands before the engine's own path.

    Raises:
        BadRequest: the path may not go on, or Content-Length is no number.
        PayloadTooLarge: Content-Length is over the limit.
    """
    progress = BodyProgress(headers, limits.max_size, limits.upload_timeout)
    target = _checked_path(_below(raw, bases)) + (b"?" + _checked_query(raw.query) if raw.query else b"")
    fields = _request_fields(headers, engine) + _framing(progress, method)
    return EngineCall(method, target, fields, progress)


def _below(raw: RawTarget, bases: Iterable[str]) -> bytes:
    """The path below the route, as it was sent: each byte of the route may have come encoded."""
    path = b"/" + raw.path.lstrip(b"/")
    decoded = unquote_to_bytes(path)
    for base in bases:
        whole = (raw.mount + base).encode()
        if decoded == whole or decoded.startswith(whole + b"/"):
            sent = re.match(rb"(?:%%[0-9a-fA-F]{2}|.){%d}" % len(whole), path, re.DOTALL)
            return path[sent.end() :] if sent else b""
    raise NotFound("There is no such route.")


def _checked_path(path: bytes) -> bytes:
    """``path`` byte for byte, if no reading of it, decoded however often, leads anywhere else."""
    path = path or b"/"
    if not path.startswith(b"/") or _INVISIBLE.search(path):
        raise _refusal()
    reading = path
    for _ in range(_MOST_DECODINGS):
        if reading.startswith(b"//") or _FORBIDDEN.search(reading) or _climbs(reading):
            raise _refusal()
        further = unquote_to_bytes(reading)
        if further == reading:
            return path
        reading = further
    raise _refusal()


def _climbs(path: bytes) -> bool:
    return any(segment.partition(b";")[0] == b".." for segment in path.split(b"/"))


def _checked_query(query: bytes) -> bytes:
    if _INVISIBLE.search(query):
        raise _refusal()
    return query


def _refusal() -> BadRequest:
    return BadRequest(
        "The path is not one that goes on to the engine: no .., //, ://, @, backslash or control character."
    )


def _request_fields(headers: Mapping[str, str], engine: EngineSettings) -> Fields:
    dropped = HOP_BY_HOP | _OWN_REQUEST_FIELDS | _named_by(headers.get("Connection", ""))
    if not engine.forwards_authorization:
        dropped |= {"authorization"}
    kept = [(name, value) for name, value in headers.items() if name.lower() not in dropped]
    own = [("Host", engine.url.removeprefix("http://")), (REQUEST_ID_HEADER, request_id.get())]
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in own + sorted(kept)]


def _framing(progress: BodyProgress, method: str) -> Fields:
    if progress.chunked:
        return [(b"Transfer-Encoding", b"chunked")]
    if progress.content_length is not None or method in ("POST", "PUT"):
        return [(b"Content-Length", b"%d" % (progress.content_length or 0))]
    return []


def response_fields(fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    """The headers of the engine's answer that go back."""
    listed = list(fields)
    named = (_named_by(value.decode("latin-1")) for name, value in listed if name.lower() == b"connection")
    dropped = HOP_BY_HOP.union(_OWN_ANSWER_FIELDS, *named)
    return [(name, value) for name, value in listed if name.decode("latin-1").lower() not in dropped]


def _named_by(connection: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in connection.split(","))
