"""Requests and responses between the adapters and the core."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.headers import Headers
from datarobot_drum.drum.serving.media_type import MediaType

JSON = "application/json"


@dataclass(slots=True)  # a frozen one takes longer to create
class ModelRequest:
    """One HTTP request, free of any framework.

    ``body`` is the raw body; None on a route without one, and for a form. ``parts`` are the wanted parts of the form,
    in the order sent. The adapter closes both. ``path_values`` are those of the parameters in the route's path.
    ``arrived`` is when the request was received, by ``time.perf_counter``.
    """

    method: str = "GET"
    headers: Headers = field(default_factory=Headers)
    query: Mapping[str, str] = field(default_factory=dict)
    body: SpooledUploadFile | None = None
    parts: tuple[SpooledUploadFile, ...] = ()
    path_values: Mapping[str, str] = field(default_factory=dict)
    arrived: float = field(default_factory=time.perf_counter, compare=False)

    @property
    def subpath(self) -> str:
        """What follows the path of a route that has a subpath."""
        return self.path_values.get("subpath", "")

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


def parse_query(query_string: str) -> dict[str, str]:
    """Return query parameters as text; of a repeated key the first value counts."""
    query: dict[str, str] = {}
    for key, value in parse_qsl(query_string, keep_blank_values=True, errors="replace"):
        query.setdefault(key, value)
    return query


def json_response(payload: Any, status: int = 200, *, headers: Mapping[str, str] | None = None) -> ModelResponse:
    """Encode ``payload`` as JSON (RFC 8259: NaN and infinities become null)."""
    return ModelResponse(orjson.dumps(payload, option=orjson.OPT_NON_STR_KEYS), status=status, headers=headers or {})
