"""Credential values, remembered so that they never leave the process in a log line, an error or an answer."""

import json
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote

MASK = "****"
MIN_SECRET_LENGTH = 3
"""Shorter values are left alone: masking every "1" would make a log unreadable and protect nothing."""

DESCRIPTORS = frozenset({"credentialType", "credentialId", "id", "name", "user", "username", "description"})
"""Fields of a credential that describe it; masking a user called "root" would also mask every path."""


class _EncodedSecrets(frozenset[str]):
    """All texts to mask, and one pattern that finds them, the longest first."""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, sorted(self, key=len, reverse=True))))


class SecretRegistry:
    """The known secrets. Threads may add and mask at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known = _EncodedSecrets()

    def add(self, secret: str) -> None:
        if len(secret) < MIN_SECRET_LENGTH:
            return
        with self._lock:
            if secret not in self._known:
                self._known = _EncodedSecrets(self._known.union(_encodings(secret)))

    def mask(self, text: str) -> str:
        known = self._known
        return known.pattern.sub(MASK, text) if known else text


SECRETS = SecretRegistry()


def register_secret(secret: str | None) -> None:
    """Mask this text from now on."""
    if secret:
        SECRETS.add(secret)


def register_credentials_in(value: Any) -> None:
    """Mask the values of a credential from now on, nested ones too, except the fields that only describe it.

    A mapping is taken for a credential whatever its definition says: only credentials are mappings.
    """
    if isinstance(value, Mapping):
        for text in _credential_texts(value):
            register_secret(text)


def mask_secrets(text: str) -> str:
    """Replace every known credential value by ``****``."""
    return SECRETS.mask(text)


def mask_secrets_in(value: Any) -> Any:
    """The same value with every text in it masked, through nested mappings, lists and tuples."""
    if isinstance(value, str):
        return mask_secrets(value)
    if isinstance(value, Mapping):
        return {key: mask_secrets_in(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_secrets_in(item) for item in value]
    if isinstance(value, tuple):
        return tuple(mask_secrets_in(item) for item in value)
    return value


class SecretFilter(logging.Filter):
    """Masks a record's message, traceback and stack. Add it to handlers: it lets every record pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = _message(record)
        masked = mask_secrets(message)
        if masked != message:
            record.msg, record.args = masked, ()
        if record.exc_info:
            self._mask_exception(record)
        if record.exc_text:
            record.exc_text = mask_secrets(record.exc_text)
        if record.stack_info:
            record.stack_info = mask_secrets(record.stack_info)
        return True

    def _mask_exception(self, record: logging.LogRecord) -> None:
        # Only a traceback that holds a secret loses exc_info: a formatter could print it again from there.
        exc_info = record.exc_info
        assert exc_info is not None
        text = logging.Formatter().formatException(exc_info)
        masked = mask_secrets(text)
        if masked != text:
            record.exc_info, record.exc_text = None, masked


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # Arguments that do not fit the format: raising here would reach whoever logs.
        record.msg, record.args = f"{record.msg} {record.args!r}", ()
        return str(record.msg)


def _encodings(secret: str) -> Iterator[str]:
    """How a secret may look in a text: as it is, in JSON, in a Python repr, in a URL."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield quote(secret, safe="", errors="replace")


def _credential_texts(payload: Any) -> Iterator[str]:
    if isinstance(payload, Mapping):
        for key, value in payload.items():
            if key not in DESCRIPTORS:
                yield from _credential_texts(value)
    elif isinstance(payload, list | tuple):
        for value in payload:
            yield from _credential_texts(value)
    elif payload is not None and not isinstance(payload, bool):
        # A password of digits comes out of YAML as a number.
        yield str(payload)
