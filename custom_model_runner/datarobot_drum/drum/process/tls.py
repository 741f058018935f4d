"""TLS of a server: the context of new connections, from files that are read again when they change."""

import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.settings.access import TlsFiles

logger = logging.getLogger(__name__)

RELOAD_SECONDS = 1.0
"""Seconds between two looks at the files."""

MAX_FILE_SIZE = 4 * 1024 * 1024


class TlsError(StartupError):
    """A certificate or key cannot be used; the message names the file."""


class TlsContexts:
    """The context of new connections.

    A context that is in use is never changed: a handshake in another thread may read it. So changed files make a new
    one, and connections that are open keep theirs.

    Args:
        clock: seconds.

    Raises:
        TlsError: a file is missing or wrong.
    """

    def __init__(self, files: TlsFiles, clock: Callable[[], float] = time.monotonic) -> None:
        self.files = files
        self._clock = clock
        self._check_at = clock() + RELOAD_SECONDS
        self._error = ""
        self.contents = read_files(files)
        """Of the files, as the current context has them: certificate, key and authorities."""
        self._context = new_context(files)

    def current(self) -> ssl.SSLContext:
        """Return the context for a connection that starts now."""
        if self._clock() >= self._check_at:
            self._check_at = self._clock() + RELOAD_SECONDS
            self._reload()
        return self._context

    def _reload(self) -> None:
        """Read changed files; keep the former context if they do not fit, as while they are replaced one by one."""
        try:
            contents = read_files(self.files)
            if contents == self.contents:
                return
            context = new_context(self.files)
        except TlsError as error:
            if str(error) != self._error:
                self._error = str(error)
                logger.error("The former certificate remains in use. %s", error)
            return
        self.contents, self._context, self._error = contents, context, ""
        logger.info("The certificate has changed: new connections get the new one.")


def read_files(files: TlsFiles) -> tuple[bytes, ...]:
    """Return the contents of certificate, key and, if there is one, authorities.

    Raises:
        TlsError: one cannot be read.
    """
    named = [("DRUM_TLS_CERT", files.cert), ("DRUM_TLS_KEY", files.key), ("DRUM_TLS_CLIENT_CA", files.client_ca)]
    return tuple(_read(name, path) for name, path in named if path is not None)


def new_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a context for a server of HTTP/1.1 over TLS 1.2 or newer.

    Raises:
        TlsError: a file is missing or wrong.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _load_certificate(context, files)
    if files.client_ca is not None:
        _load_authorities(context, files.client_ca)
    return context


def _load_certificate(context: ssl.SSLContext, files: TlsFiles) -> None:
    try:
        context.load_cert_chain(files.cert, files.key, password=_no_passphrase)
    except _Encrypted:
        raise TlsError(f"DRUM_TLS_KEY: {files.key} has a passphrase. Decrypt it: openssl pkey -in KEY.") from None
    except ssl.SSLError as error:
        raise TlsError(_describe(error, files)) from None
    except OSError as error:
        raise TlsError(f"DRUM_TLS_CERT, DRUM_TLS_KEY: {files.cert}, {files.key}: {error.strerror}.") from None


def _describe(error: ssl.SSLError, files: TlsFiles) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"DRUM_TLS_KEY: {files.key} is not the key of the certificate in {files.cert}."
    if not _holds_certificate(files.cert):
        return f"DRUM_TLS_CERT: {files.cert} holds no valid certificate in PEM format."
    if (error.reason and "TOO_SMALL" in error.reason) or error.reason == "CA_MD_TOO_WEAK":
        return f"DRUM_TLS_CERT: {files.cert} is too weak for this version of OpenSSL ({error.reason})."
    return f"DRUM_TLS_KEY: {files.key} holds no valid private key in PEM format."


def _holds_certificate(path: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except (ssl.SSLError, OSError):
        return False
    return True


def _load_authorities(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except (ssl.SSLError, OSError):
        raise TlsError(f"DRUM_TLS_CLIENT_CA: {path} holds no valid certificate in PEM format.") from None
    context.verify_mode = ssl.CERT_REQUIRED


class _Encrypted(Exception):
    """The private key has a passphrase."""


def _no_passphrase() -> str:
    raise _Encrypted


def _read(name: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise TlsError(f"{name}: {path} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    if len(content) > MAX_FILE_SIZE:
        raise TlsError(f"{name}: {path} is larger than {MAX_FILE_SIZE} bytes.")
    return content
