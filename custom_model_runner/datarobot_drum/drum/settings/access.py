"""Parameters of access to a server: API keys, rate limit, cross-origin requests and TLS."""

import dataclasses
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datarobot_drum.drum.settings.declaration import parameter, settings_of
from datarobot_drum.drum.settings.value_parsers import Kind
from datarobot_drum.runtime_parameters.definitions import parameter_error
from datarobot_drum.runtime_parameters.masking import register_secret

logger = logging.getLogger(__name__)

ANY_ORIGIN = "*"
MIN_KEY_LENGTH = 16
"""Shorter keys work, with a warning: they can be guessed."""

MAX_KEYS_FILE = 64 * 1024
"""Bytes of a file of keys at most."""

TLS_SERVERS = ("gunicorn", "fastapi")

_KEY = re.compile(r"[!-+\--~]+")
"""Visible ASCII without the comma that separates keys: what every HTTP client can send."""

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}
_RATE = re.compile(r"([1-9][0-9]{0,8})\s*/\s*(second|minute|hour|day)", re.IGNORECASE)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")


@dataclasses.dataclass(frozen=True)
class AccessParameters:
    """Parameters that decide which requests are served. A wrong one fails the start, also with the error server."""

    api_keys: str = parameter(
        "DRUM_API_KEYS",
        Kind.STRING,
        "Keys, separated by commas; each request but probes then needs one of them, as Authorization: Bearer or "
        "X-API-Key. Several keys let clients change theirs one after the other.",
        default="",
        values="visible ASCII without blanks; at least 16 characters each",
        secret=True,
    )
    api_keys_file: str = parameter(
        "DRUM_API_KEYS_FILE",
        Kind.STRING,
        "File of further keys, one a line; lines that start with # are comments. A changed file is read again within a "
        "second, without a restart.",
        default="",
        values="path",
    )
    rate_limit: str = parameter(
        "DRUM_RATE_LIMIT",
        Kind.STRING,
        "Requests that each key, or without keys each client address, may send to each worker process; beyond that 429 "
        "with Retry-After. Probes do not count.",
        default="",
        values="number/second, /minute, /hour or /day",
    )
    cors_origins: str = parameter(
        "DRUM_CORS_ORIGINS",
        Kind.STRING,
        "Origins, separated by commas, whose pages may call the server from a browser; * for all. Without it there are "
        "no CORS headers.",
        default="",
        values="origins such as https://app.example.com",
    )
    tls_cert: str = parameter(
        "DRUM_TLS_CERT",
        Kind.STRING,
        "PEM file of the certificate, followed by its chain: the server then speaks TLS 1.2 or newer only. Needs "
        "DRUM_TLS_KEY. Changed files hold for new connections within a second.",
        default="",
        values="path",
        servers=TLS_SERVERS,
    )
    tls_key: str = parameter(
        "DRUM_TLS_KEY",
        Kind.STRING,
        "PEM file of the private key of the certificate, without a passphrase.",
        default="",
        values="path",
        servers=TLS_SERVERS,
    )
    tls_client_ca: str = parameter(
        "DRUM_TLS_CLIENT_CA",
        Kind.STRING,
        "PEM file of certificate authorities: each client, probes included, needs a certificate of one of them.",
        default="",
        values="path",
        servers=TLS_SERVERS,
    )


ACCESS_NAMES = frozenset(declared.name for declared in settings_of(AccessParameters).values())


@dataclass(frozen=True)
class RateLimit:
    """How many requests one client may send in a time."""

    requests: int
    seconds: float

    @property
    def text(self) -> str:
        name = next(name for name, seconds in _SECONDS.items() if seconds == self.seconds)
        return f"{self.requests}/{name}"


@dataclass(frozen=True)
class TlsFiles:
    """PEM files. Without ``client_ca`` clients need no certificate."""

    cert: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True)
class AccessSettings:
    """Which requests are served; by default all of them, over plain HTTP."""

    keys: tuple[str, ...] = field(default=(), repr=False)
    keys_file: Path | None = None
    rate_limit: RateLimit | None = None
    cors_origins: frozenset[str] = frozenset()
    tls: TlsFiles | None = None

    @property
    def has_keys(self) -> bool:
        return bool(self.keys) or self.keys_file is not None

    @property
    def is_open(self) -> bool:
        """Return True if no request needs a check."""
        return not (self.has_keys or self.rate_limit or self.cors_origins)


OPEN = AccessSettings()


def read_access(parameters: AccessParameters, server_type: str, environ: Mapping[str, str]) -> AccessSettings:
    """Return the settings of access. An empty variable counts as none, as all do, with a warning in the log.

    Raises:
        RuntimeParameterError: a value is wrong; the message never holds a key.
    """
    for name in ("DRUM_API_KEYS", "DRUM_API_KEYS_FILE", "DRUM_TLS_CERT"):
        if environ.get(name) == "":
            logger.warning("%s is set but empty, so it has no effect.", name)
    keys = parse_keys("DRUM_API_KEYS", parameters.api_keys.split(",")) if parameters.api_keys else ()
    keys_file = Path(os.path.abspath(parameters.api_keys_file)) if parameters.api_keys_file else None
    warn_of_short_keys((*keys, *(read_keys_file(keys_file) if keys_file else ())))
    return AccessSettings(
        keys=keys,
        keys_file=keys_file,
        rate_limit=_rate_limit(parameters.rate_limit) if parameters.rate_limit else None,
        cors_origins=_origins(parameters.cors_origins),
        tls=_tls_files(parameters, server_type),
    )


def parse_keys(name: str, texts: list[str]) -> tuple[str, ...]:
    """Return the keys among ``texts``, without blanks around them, and mask them from now on.

    Args:
        name: of the parameter, for messages.

    Raises:
        RuntimeParameterError: there is none, or one has characters that no key may have.
    """
    keys = tuple(dict.fromkeys(text for text in map(str.strip, texts) if text))
    if not keys:
        raise parameter_error(name, "has no key")
    for number, key in enumerate(keys, 1):
        register_secret(key)
        if not _KEY.fullmatch(key):
            raise parameter_error(name, f"has a key (number {number}) with a blank, a comma, or a non-ASCII character")
    return keys


def read_keys_file(path: Path) -> tuple[str, ...]:
    """Return the keys in a file.

    Raises:
        RuntimeParameterError: it cannot be read, or as ``parse_keys``.
    """
    name = "DRUM_API_KEYS_FILE"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_KEYS_FILE + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise parameter_error(name, f"names {path}, which cannot be read: {reason}") from None
    if len(content) > MAX_KEYS_FILE:
        raise parameter_error(name, f"names {path}, which is larger than {MAX_KEYS_FILE} bytes")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise parameter_error(name, f"names {path}, which is no text") from None
    return parse_keys(name, [line for line in lines if not line.lstrip().startswith("#")])


def warn_of_short_keys(keys: tuple[str, ...]) -> None:
    """Log a warning if a key can be guessed."""
    shortest = min(map(len, keys), default=MIN_KEY_LENGTH)
    if shortest < MIN_KEY_LENGTH:
        logger.warning(
            "An API key has %d characters and could be guessed. Use at least %d, such as of: openssl rand -hex 32.",
            shortest,
            MIN_KEY_LENGTH,
        )


def _rate_limit(text: str) -> RateLimit:
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise parameter_error("DRUM_RATE_LIMIT", "must be a number and a time, such as 100/minute or 5/second")
    return RateLimit(int(found[1]), _SECONDS[found[2].lower()])


def _origins(text: str) -> frozenset[str]:
    origins = [origin for origin in map(str.strip, text.split(",")) if origin]
    if text and not origins:
        raise parameter_error("DRUM_CORS_ORIGINS", "has no origin")
    if ANY_ORIGIN in origins and len(origins) > 1:
        raise parameter_error("DRUM_CORS_ORIGINS", "has * together with other origins")
    return frozenset(map(_origin, origins))


def _origin(text: str) -> str:
    """Return an origin as browsers send it: in lower case, without the port that its scheme has anyway."""
    origin = text.lower()
    if origin == ANY_ORIGIN:
        return origin
    if not _ORIGIN.fullmatch(origin):
        raise parameter_error(
            "DRUM_CORS_ORIGINS",
            f"has {text!r}, which is no origin such as https://app.example.com: no path, no slash at the end",
        )
    scheme, _, _ = origin.partition("://")
    return origin.removesuffix({"http": ":80", "https": ":443"}.get(scheme, "\n"))


def _tls_files(parameters: AccessParameters, server_type: str) -> TlsFiles | None:
    given = dict(_tls_values(parameters))
    if not given:
        return None
    if server_type not in TLS_SERVERS:
        raise parameter_error(next(iter(given)), "needs DRUM_SERVER_TYPE=gunicorn or fastapi: flask serves plain HTTP")
    for name in ("DRUM_TLS_CERT", "DRUM_TLS_KEY"):
        if name not in given:
            raise parameter_error(name, f"is missing: {', '.join(given)} alone does not switch on TLS")
    paths = {name: Path(os.path.abspath(value)) for name, value in given.items()}
    return TlsFiles(paths["DRUM_TLS_CERT"], paths["DRUM_TLS_KEY"], paths.get("DRUM_TLS_CLIENT_CA"))


def _tls_values(parameters: AccessParameters) -> Iterator[tuple[str, str]]:
    for name in ("tls_cert", "tls_key", "tls_client_ca"):
        if value := getattr(parameters, name):
            yield f"DRUM_{name.upper()}", value
