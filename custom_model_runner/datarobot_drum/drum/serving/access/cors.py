"""Cross-origin requests of browsers (the CORS protocol of the Fetch standard), without cookies.

Keys are sent in headers that a page sets itself, so ``Access-Control-Allow-Credentials`` is never sent.
"""

import re

from datarobot_drum.drum.exceptions import Forbidden
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.drum.settings.access import ANY_ORIGIN

ALLOW_ORIGIN = "Access-Control-Allow-Origin"
METHODS = "DELETE, GET, HEAD, PATCH, POST, PUT"
EXPOSED = "Retry-After, X-Drum-Model, X-Drum-User-Http-Error, X-Drum-Version, X-Request-ID, X-Streaming"
"""Response headers that pages may read, besides those that they always may."""

MAX_AGE = "600"
"""Seconds for which a browser remembers a preflight response."""

_FIELD_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: *, *[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")
_PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"

Fields = tuple[tuple[str, str], ...]


class CorsPolicy:
    """The origins whose pages may call the server; none means that there are no CORS headers."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins

    def is_preflight(self, method: str, requested_method: str | None, origin: str | None) -> bool:
        """Return whether a request only asks for what a page may send."""
        return bool(self._origins and method == "OPTIONS" and requested_method and origin)

    def preflight(self, origin: str, requested_headers: str | None) -> ModelResponse:
        """Return the response to a preflight request: any method, and the headers that the page wants.

        Raises:
            Forbidden: the origin is not allowed.
        """
        allowed = self._allowed(origin)
        if allowed is None:
            raise Forbidden(f"The origin {origin} is not allowed (DRUM_CORS_ORIGINS).")
        headers = {
            ALLOW_ORIGIN: allowed,
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Max-Age": MAX_AGE,
            "Vary": _PREFLIGHT_VARY,
        }
        if requested_headers and _FIELD_NAMES.fullmatch(requested_headers):
            headers["Access-Control-Allow-Headers"] = requested_headers
        return ModelResponse(b"", status=204, headers=headers)

    def headers(self, origin: str | None) -> Fields:
        """Return the headers of each other response. Caches need ``Vary`` also without an allowed origin."""
        if not self._origins:
            return ()
        allowed = self._allowed(origin) if origin else None
        vary = () if ANY_ORIGIN in self._origins else (("Vary", "Origin"),)
        if allowed is None:
            return vary
        return ((ALLOW_ORIGIN, allowed), ("Access-Control-Expose-Headers", EXPOSED), *vary)

    def _allowed(self, origin: str) -> str | None:
        if ANY_ORIGIN in self._origins:
            return ANY_ORIGIN
        return origin if origin in self._origins else None
