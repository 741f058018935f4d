"""TLS contexts: errors that name the file, and renewed files."""

import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from datarobot_drum.drum.process.tls import RELOAD_SECONDS, TlsContexts, TlsError
from datarobot_drum.drum.settings.access import TlsFiles
from tests.certificates import CertificateFiles, client_context, issue


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> CertificateFiles:
    files = CertificateFiles(tmp_path)
    files.write(issue(authority))
    return files


class Clock:
    """Seconds that a test passes on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """Return the client's side after a handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return sides[0]


def test_new_connections_have_tls_1_2_or_newer(files: CertificateFiles, authority: trustme.CA) -> None:
    context = TlsContexts(TlsFiles(files.cert, files.key)).current()
    assert handshake(context, client_context(authority)).version() == "TLSv1.3"
    old = client_context(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(context, old).version() == "TLSv1.2"
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_NONE


def remove(name: str) -> Callable[[CertificateFiles], None]:
    return lambda files: (files.folder / name).unlink()


def write(name: str, content: str) -> Callable[[CertificateFiles], object]:
    return lambda files: (files.folder / name).write_text(content)


def swap(files: CertificateFiles) -> None:
    cert, key = files.cert.read_bytes(), files.key.read_bytes()
    files.cert.write_bytes(key)
    files.key.write_bytes(cert)


def mismatch(files: CertificateFiles) -> None:
    files.key.write_bytes(issue(trustme.CA()).private_key_pem.bytes())


def encrypt(files: CertificateFiles) -> None:
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key(files.key.read_bytes(), None)
    encrypted = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"word"))
    files.key.write_bytes(encrypted)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("cert.pem"), "DRUM_TLS_CERT: .*cert.pem cannot be read: no such file"),
        (remove("key.pem"), "DRUM_TLS_KEY: .*key.pem cannot be read: no such file"),
        (write("cert.pem", ""), "DRUM_TLS_CERT: .*cert.pem holds no valid certificate"),
        (write("cert.pem", "-----BEGIN CERTIFICATE-----\nxx\n"), "DRUM_TLS_CERT: .*cert.pem holds no valid cert"),
        (write("key.pem", "text"), "DRUM_TLS_KEY: .*key.pem holds no valid private key"),
        (swap, "DRUM_TLS_CERT: .*cert.pem holds no valid certificate"),
        (mismatch, "DRUM_TLS_KEY: .*key.pem is not the key of the certificate in .*cert.pem"),
        (encrypt, "DRUM_TLS_KEY: .*key.pem has a passphrase"),
    ],
)
def test_errors_name_the_file(
    files: CertificateFiles, damage: Callable[[CertificateFiles], object], message: str
) -> None:
    damage(files)
    with pytest.raises(TlsError, match=message):
        TlsContexts(TlsFiles(files.cert, files.key))


@pytest.mark.parametrize("content", [None, "", "text"])
def test_errors_name_the_authorities(files: CertificateFiles, content: str | None) -> None:
    path = files.folder / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(TlsError, match=r"DRUM_TLS_CLIENT_CA: .*ca\.pem"):
        TlsContexts(TlsFiles(files.cert, files.key, path))


def test_a_renewed_certificate_holds_for_new_connections(files: CertificateFiles, authority: trustme.CA) -> None:
    clock, other = Clock(), trustme.CA()
    contexts = TlsContexts(TlsFiles(files.cert, files.key), clock)
    former = contexts.current()
    files.write(issue(other))
    assert contexts.current() is former
    clock.now += RELOAD_SECONDS
    assert handshake(contexts.current(), client_context(other)).version() == "TLSv1.3"
    assert handshake(former, client_context(authority)).version() == "TLSv1.3"
    current = contexts.current()
    clock.now += RELOAD_SECONDS
    assert contexts.current() is current


def test_removed_authorities_are_not_trusted_any_more(files: CertificateFiles, authority: trustme.CA) -> None:
    clock, first, second = Clock(), trustme.CA(), trustme.CA()
    path = files.folder / "ca.pem"
    first.cert_pem.write_to_path(str(path))
    contexts = TlsContexts(TlsFiles(files.cert, files.key, path), clock)
    clients = [client_context(authority, client=each.issue_cert("client@x.example")) for each in (first, second)]
    handshake(contexts.current(), clients[0])
    with pytest.raises(ssl.SSLError):
        handshake(contexts.current(), clients[1])
    with pytest.raises(ssl.SSLError):
        handshake(contexts.current(), client_context(authority))
    second.cert_pem.write_to_path(str(path))
    clock.now += RELOAD_SECONDS
    handshake(contexts.current(), clients[1])
    with pytest.raises(ssl.SSLError):
        handshake(contexts.current(), clients[0])


@pytest.mark.parametrize("damage", [remove("cert.pem"), write("key.pem", ""), mismatch])
def test_files_that_do_not_fit_leave_the_former_certificate_in_use(
    files: CertificateFiles,
    authority: trustme.CA,
    damage: Callable[[CertificateFiles], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    contexts = TlsContexts(TlsFiles(files.cert, files.key), clock)
    former = contexts.current()
    damage(files)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            clock.now += RELOAD_SECONDS
            assert contexts.current() is former
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    files.write(issue(authority))
    clock.now += RELOAD_SECONDS
    assert contexts.current() is not former
