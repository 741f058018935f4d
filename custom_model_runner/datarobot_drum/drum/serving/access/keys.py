"""API keys of requests, compared in constant time, from the settings and from a file that is read again."""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.drum.settings.access import AccessSettings, read_keys_file
from datarobot_drum.drum.tracing.spans import ReadHeader

logger = logging.getLogger(__name__)

RELOAD_SECONDS = 1.0
"""Seconds between two looks at the file."""

AUTHORIZATION, API_KEY = "authorization", "x-api-key"

_BLANKS = " \t"


def sent_keys(header: ReadHeader) -> Mapping[str, str]:
    """Return the keys that a request holds, by the header. A repeated header is joined by commas, so it is no key."""
    scheme, _, token = (header(AUTHORIZATION) or "").strip(_BLANKS).partition(" ")
    found = {
        AUTHORIZATION: token.strip(_BLANKS) if scheme.lower() == "bearer" else "",
        API_KEY: (header(API_KEY) or "").strip(_BLANKS),
    }
    return {name: key for name, key in found.items() if key}


class KeyRing:
    """The valid keys, of which only digests are kept: they have one length, so a comparison shows none.

    Args:
        clock: seconds.
    """

    def __init__(self, settings: AccessSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._own = tuple(map(_digest, settings.keys))
        self._file = settings.keys_file
        self._clock = clock
        self._check_at = clock() + RELOAD_SECONDS
        self._error = ""
        self._read: tuple[bytes, ...] = () if self._file is None else _digests(self._file)

    def find(self, key: str) -> bytes | None:
        """Return the digest of a valid key, else None. Each valid key is compared, whichever matches."""
        digest = _digest(key)
        matches = [hmac.compare_digest(digest, valid) for valid in self._current()]
        return digest if any(matches) else None

    def _current(self) -> Iterable[bytes]:
        if self._file is not None and self._clock() >= self._check_at:
            self._check_at = self._clock() + RELOAD_SECONDS
            self._read_again(self._file)
        return (*self._own, *self._read)

    def _read_again(self, file: Path) -> None:
        """Take the keys of the file; keep the former ones if it is missing, empty or wrong, as while it is replaced."""
        try:
            keys = _digests(file)
        except RuntimeParameterError as error:
            if str(error) != self._error:
                self._error = str(error)
                logger.error("The former API keys remain valid. %s", error)
            return
        self._error = ""
        if keys != self._read:
            self._read = keys
            logger.info("The file of API keys has changed: %d keys.", len(keys))


def _digests(file: Path) -> tuple[bytes, ...]:
    return tuple(map(_digest, read_keys_file(file)))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
