"""Certificates of tests: authorities, servers and clients, as files that a server reads."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class CertificateFiles:
    """Paths of a server's certificate and key."""

    folder: Path

    @property
    def cert(self) -> Path:
        return self.folder / "cert.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    @property
    def variables(self) -> dict[str, str]:
        return {"DRUM_TLS_CERT": str(self.cert), "DRUM_TLS_KEY": str(self.key)}

    def write(self, issued: trustme.LeafCert) -> None:
        """Replace both files, one after the other, as a renewal does."""
        self.cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        self.key.write_bytes(issued.private_key_pem.bytes())


def issue(authority: trustme.CA) -> trustme.LeafCert:
    """Return a certificate for servers of this machine."""
    return authority.issue_cert("localhost", "127.0.0.1")


def client_context(*authorities: trustme.CA, client: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """Return the context of a client that trusts these authorities, with a certificate of its own if one is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for authority in authorities:
        authority.configure_trust(context)
    if client is not None:
        client.configure_cert(context)
    return context
