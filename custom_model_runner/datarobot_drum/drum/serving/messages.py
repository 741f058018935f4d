"""Requests and responses between the adapters and the core."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

import orjson

from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.headers import Headers

JSON = "application/json"
MAX_CACHED_VALUE = 128

_PARAMETER = re.compile(r';[ \t]*([^\s;="]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;]*)')


@dataclass(frozen=True)
class MediaType:
    """A ``Content-Type`` or ``Content-Disposition`` value: the type in lower case, or empty, and its parameters.

    Of repeated parameters the first one counts.
    """

    essence: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: str | None) -> "MediaType":
        if not value:
            return _NO_MEDIA_TYPE
        return _short_media_type(value) if len(value) < MAX_CACHED_VALUE else _media_type(value)

    @property
    def charset(self) -> str | None:
        return self.parameters.get("charset") or None


_NO_MEDIA_TYPE = MediaType()


def _media_type(value: str) -> MediaType:
    essence, _, rest = value.partition(";")
    parameters: dict[str, str] = {}
    for name, text in _PARAMETER.findall(";" + rest):
        parameters.setdefault(name.lower(), _unquote(text.strip()))
    return MediaType(essence.strip().lower(), MappingProxyType(parameters))


_short_media_type = lru_cache(maxsize=128)(_media_type)


@dataclass(slots=True)  # a frozen one takes longer to create
class ModelRequest:
    """One HTTP request, free of any framework.

    ``body`` is the raw body; None on a route without one, and for a form. ``parts`` are the wanted parts of the form,
    in the order sent. The adapter closes both.
    """

    method: str = "GET"
    headers: Headers = field(default_factory=Headers)
    query: Mapping[str, str] = field(default_factory=dict)
    body: SpooledUploadFile | None = None
    parts: tuple[SpooledUploadFile, ...] = ()

    @property
    def media_type(self) -> MediaType:
        return MediaType.parse(self.headers.get("Content-Type"))


@dataclass(slots=True)
class ModelResponse:
    """One response. An iterable as content is streamed, and closed at the end or on an error."""

    content: bytes | Iterable[bytes]
    media_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    keep_alive: bytes = b""
    """Sent while a stream is idle, so that proxies keep the connection open."""


def _unquote(text: str) -> str:
    """Return the value of a token or of a quoted string (RFC 9110, 5.6.4)."""
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def parse_query(query_string: str) -> dict[str, str]:
    """Return query parameters as text; of a repeated key the first value counts."""
    query: dict[str, str] = {}
    for key, value in parse_qsl(query_string, keep_blank_values=True, errors="replace"):
        query.setdefault(key, value)
    return query


def json_response(payload: Any, status: int = 200, *, headers: Mapping[str, str] | None = None) -> ModelResponse:
    """Encode ``payload`` as JSON (RFC 8259: NaN and infinities become null)."""
    return ModelResponse(orjson.dumps(payload, option=orjson.OPT_NON_STR_KEYS), status=status, headers=headers or {})
