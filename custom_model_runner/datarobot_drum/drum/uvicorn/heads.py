"""The heads of requests on the fast path: request line and headers, which clients send byte for byte again and again.

A head is read by the parser that uvicorn has, once, and known from then on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import httptools

from datarobot_drum.drum.fastapi.routes import Endpoint
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.messages import MediaType, parse_query

LONGEST_HEAD = 2048
"""Bytes; longer ones are rare, and would be kept."""

MOST_HEADS = 256
"""That are known at a time: of some clients, and bodies of many lengths."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of a request says, for all requests that have it: nothing of it may be changed."""

    raw: bytes
    endpoint: Endpoint
    path: str
    query: Mapping[str, str]
    headers: Headers
    media_type: MediaType
    length: int
    """Bytes of the body."""
    keep_alive: bool

    @property
    def size(self) -> int:
        """Bytes of a request that has it."""
        return len(self.raw) + self.length


class Heads:
    """Reads heads.

    Args:
        endpoints: which requests may take the fast path, by path: POST and HTTP/1.1, with a small plain body.
    """

    def __init__(self, endpoints: Mapping[str, Endpoint], limits: BodyLimits) -> None:
        self._endpoints = endpoints
        self._limits = limits
        self.read = lru_cache(MOST_HEADS)(self._read)
        """A head, to its last line break; None for a request that has to go the other way."""

    def _read(self, raw: bytes) -> Head | None:
        fields = _Fields()
        parser = httptools.HttpRequestParser(fields)
        try:
            parser.feed_data(raw)
            url = httptools.parse_url(fields.url)
            path = (url.path or b"").decode("ascii")
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, UnicodeDecodeError):
            return None
        endpoint = self._endpoints.get(path)
        if endpoint is None or parser.get_method() != b"POST" or parser.get_http_version() != "1.1":
            return None
        headers = Headers.from_raw(fields.headers)
        length = 0
        if not length or "Expect" in headers or parser.should_upgrade():
            return None
        query = parse_query(url.query.decode("latin-1")) if url.query else {}
        media_type = MediaType.parse(headers.get("Content-Type"))
        return Head(raw, endpoint, path, query, headers, media_type, length, parser.should_keep_alive())


class _Fields:
    """What the parser finds."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))
