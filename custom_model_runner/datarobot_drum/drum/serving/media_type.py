"""Values of ``Content-Type`` and ``Content-Disposition``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

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


def _unquote(text: str) -> str:
    """Return the value of a token or of a quoted string (RFC 9110, 5.6.4)."""
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text
