"""Registry of credential values, which are masked in logs, errors and responses."""

import json
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote

from datarobot_drum.drum.error_text import format_exception

MASK = "****"
MIN_SECRET_LENGTH = 3
"""Shorter values are not masked: masking every "1" would make logs unreadable and protect nothing."""

DESCRIPTORS = frozenset({"credentialType", "credentialId", "id", "name", "user", "username", "description"})
"""Fields of a credential that are not secret; masking a user called "root" would also mask every path."""


_URL_CREDENTIALS = re.compile(r"(?<=://)[^\s/?#@\"'<>]+(?:@[^\s/?#@\"'<>]+)*(?=@)")
"""User and password in a URL. They are masked although they are not registered: any error may quote such a URL."""

_SECRET_VARIABLE = re.compile(r"(TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|ACCESS_KEY|PRIVATE_KEY)$", re.IGNORECASE)
_HEADERS_VARIABLE = re.compile(r"OTEL_EXPORTER_OTLP_(\w+_)?HEADERS")
_MIN_VARIABLE_LENGTH = 8
"""Shorter values of variables may be switches."""


class _EncodedSecrets(frozenset[str]):
    """All texts to mask, and a pattern that matches them, longest first."""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, sorted(self, key=len, reverse=True))))


class SecretRegistry:
    """The known secrets. Thread-safe."""

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


def register_url_credentials(url: str | None) -> None:
    """Mask the password of a URL, or its only credential, from now on, also where it is quoted alone."""
    # Up to the last @, as a password may hold characters that a URL should encode.
    credentials = (url or "").partition("://")[2].rpartition("@")[0]
    user, colon, password = credentials.partition(":")
    secret = password if colon else user
    register_secret(secret)
    register_secret(unquote(secret))


def is_secret_name(name: str) -> bool:
    """Return True if a variable or parameter of this name holds a secret, such as ``MLOPS_API_TOKEN``."""
    return _SECRET_VARIABLE.search(name) is not None


def register_secret_variables(environ: Mapping[str, str]) -> None:
    """Mask the values of environment variables that are named like secrets, such as ``MLOPS_API_TOKEN``."""
    for name, value in environ.items():
        if _HEADERS_VARIABLE.fullmatch(name):
            for header in value.split(","):
                register_secret(unquote(header.partition("=")[2].strip()))
        elif is_secret_name(name) and len(value) >= _MIN_VARIABLE_LENGTH:
            register_secret(value)


def register_credentials_in(value: Any) -> None:
    """Mask the values of a credential from now on, nested ones included, except descriptive fields.

    A mapping is treated as a credential whatever its definition: only credentials are mappings.
    """
    if isinstance(value, Mapping):
        for text in _credential_texts(value):
            register_secret(text)


def mask_secrets(text: str) -> str:
    """Replace every known credential value, and those in URLs, by ``****``."""
    if "://" in text and "@" in text:
        text = _URL_CREDENTIALS.sub(_masked_credentials, text)
    return SECRETS.mask(text)


def _masked_credentials(found: re.Match[str]) -> str:
    user, colon, _ = found[0].partition(":")
    return f"{user}:{MASK}" if colon else MASK


def mask_secrets_in(value: Any) -> Any:
    """Return the value with every text in it masked, through nested mappings, lists and tuples."""
    if isinstance(value, str):
        return mask_secrets(value)
    if isinstance(value, Mapping):
        return {key: mask_secrets_in(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_secrets_in(item) for item in value]
    if isinstance(value, tuple):
        return tuple(mask_secrets_in(item) for item in value)
    return value


def mask_credential(value: Any) -> Any:
    """Return a parameter's value; of a credential only descriptive fields are shown, whatever their length."""
    if not isinstance(value, Mapping):
        return value
    return {key: item if key in DESCRIPTORS and not isinstance(item, Mapping) else MASK for key, item in value.items()}


class SecretFilter(logging.Filter):
    """Masks the message, traceback and stack of a log record. Add it to handlers: it rejects no record."""

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
        # A formatter could print the secret again from exc_info.
        exc_info = record.exc_info
        assert exc_info is not None
        text = format_exception(exc_info)
        masked = mask_secrets(text)
        if masked != text:
            record.exc_info, record.exc_text = None, masked


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # Arguments that do not fit the format: an error here would reach the caller that logs.
        record.msg, record.args = f"{record.msg} {record.args!r}", ()
        return str(record.msg)


def _encodings(secret: str) -> Iterator[str]:
    """Yield the secret as plain text, in JSON, in a Python repr and in a URL."""
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
