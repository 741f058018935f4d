"""What the adapters hand to the core, and what the core hands back."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

import orjson

from datarobot_drum.drum.serving.uploads import SpooledUploadFile

JSON = "application/json"
LONGEST_KEPT_NAME = 64
LONGEST_KEPT_VALUE = 128

_PARAMETER = re.compile(r';[ \t]*([^\s;="]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;]*)')


class Headers(dict[str, str]):
    """Header fields of one request: looked up in any case, listed in Title-Case.

    Repeated fields are joined by a comma (RFC 9110, 5.3), so WSGI and ASGI show a hook the same dict.
    """

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__()
        for name, value in fields:
            key = _title_case(name)
            self[key] = f"{self[key]},{value}" if key in self else value

    @classmethod
    def from_raw(cls, fields: Iterable[tuple[bytes, bytes]]) -> "Headers":
        """From the fields of an ASGI scope."""
        headers = cls()
        for raw, value in fields:
            key = _short_raw_title_case(raw) if len(raw) < LONGEST_KEPT_NAME else raw.decode("latin-1").title()
            text = value.decode("latin-1")
            # Not `headers[key]`, here and in the constructor: the key has its case already.
            known = dict.get(headers, key)
            dict.__setitem__(headers, key, text if known is None else f"{known},{text}")
        return headers

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(_title_case(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(_title_case(name))

    def get(self, name: str, default: Any = None) -> Any:
        value = super().get(name)  # most are asked for by the name that they have here
        return super().get(_title_case(name), default) if value is None else value

    def copy(self) -> "Headers":
        headers = Headers()
        headers.update(self)
        return headers


@lru_cache(maxsize=512)
def _short_title_case(name: str) -> str:
    return name.title()


@lru_cache(maxsize=512)
def _short_raw_title_case(name: bytes) -> str:
    return name.decode("latin-1").title()


def _title_case(name: str) -> str:
    """The same few names come again and again; a client's long ones are not kept."""
    return _short_title_case(name) if len(name) < LONGEST_KEPT_NAME else name.title()


@dataclass(frozen=True)
class MediaType:
    """A ``Content-Type`` value: the type in lower case (empty when absent) and its parameters, the first of a name.

    ``Content-Disposition`` has the same form.
    """

    essence: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: str | None) -> "MediaType":
        if not value:
            return _NO_MEDIA_TYPE
        return _short_media_type(value) if len(value) < LONGEST_KEPT_VALUE else _media_type(value)

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


@dataclass(slots=True)  # not frozen: that takes longer to make
class ModelRequest:
    """One HTTP request, free of any framework.

    ``body`` is the whole body, or None where the route reads no body or the body was a form; ``parts`` are the
    form's parts that the route asked for, in the order sent. Both belong to the adapter, which closes them.
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
    """One answer: an iterable as content is streamed, and its ``close`` is called however the answer ends."""

    content: bytes | Iterable[bytes]
    media_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    keep_alive: bytes = b""
    """Sent now and then while a streamed answer has nothing to send, so that proxies do not take it for dead."""


def _unquote(text: str) -> str:
    """The value of a token or of a quoted string (RFC 9110, 5.6.4)."""
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def parse_query(query_string: str) -> dict[str, str]:
    """Query parameters as text; of a repeated key the first value counts (http-api.md H45)."""
    query: dict[str, str] = {}
    for key, value in parse_qsl(query_string, keep_blank_values=True, errors="replace"):
        query.setdefault(key, value)
    return query


def json_response(payload: Any, status: int = 200, *, headers: Mapping[str, str] | None = None) -> ModelResponse:
    """``payload`` as JSON (RFC 8259: NaN and infinities become null)."""
    return ModelResponse(orjson.dumps(payload, option=orjson.OPT_NON_STR_KEYS), status=status, headers=headers or {})
