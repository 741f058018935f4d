"""Headers of requests, and the standard headers of every response."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from datarobot_drum.drum.settings.routed_models import MODEL_HEADER
from datarobot_drum.drum.tracing.request_id import REQUEST_ID_HEADER
from datarobot_drum.version import __version__

VERSION_HEADER = "X-Drum-Version"
MAX_CACHED_NAME = 64


_served_model = ""


def set_served_model(value: str) -> None:
    """Set the model header of responses to requests that never reach the app of this process; empty for none."""
    global _served_model
    _served_model = value


def standard_headers(request_id: str, model: str | None = None) -> dict[str, str]:
    """Return the headers of every response, errors included.

    Args:
        model: the value that names the model; None for that of this process, empty for no such header.
    """
    headers = {VERSION_HEADER: __version__, REQUEST_ID_HEADER: request_id}
    model = _served_model if model is None else model
    return {**headers, MODEL_HEADER: model} if model else headers


class Headers(dict[str, str]):
    """Header fields of one request: found in any case, listed in Title-Case.

    Repeated fields are joined by a comma (RFC 9110, 5.3), so hooks get the same dict from WSGI and ASGI.
    """

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__()
        for name, value in fields:
            key = _title_case(name)
            self[key] = f"{self[key]},{value}" if key in self else value

    @classmethod
    def from_raw(cls, fields: Iterable[tuple[bytes, bytes]]) -> "Headers":
        """Return the headers of an ASGI scope."""
        headers = cls()
        for raw, value in fields:
            key = _short_raw_title_case(raw) if len(raw) < MAX_CACHED_NAME else raw.decode("latin-1").title()
            text = value.decode("latin-1")
            # Not `headers[key]`: the key is in Title-Case already.
            known = dict.get(headers, key)
            dict.__setitem__(headers, key, text if known is None else f"{known},{text}")
        return headers

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(_title_case(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(_title_case(name))

    def get(self, name: str, default: Any = None) -> Any:
        value = super().get(name)  # most names come in Title-Case
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
    """Return ``name`` in Title-Case; only short names are cached, as clients choose them."""
    return _short_title_case(name) if len(name) < MAX_CACHED_NAME else name.title()
