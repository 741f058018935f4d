"""TLS of the gRPC port, from the files of the HTTP port, which are read again when they change."""

import grpc

from datarobot_drum.drum.process.tls import TlsContexts
from datarobot_drum.drum.settings.access import TlsFiles


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Return credentials that look for changed files at each handshake.

    Raises:
        TlsError: a file is missing or wrong.
    """
    contexts = TlsContexts(files)
    used = contexts.contents

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal used
        contexts.current()
        if contexts.contents == used:
            return None  # keep the current one
        used = contexts.contents
        return _configuration(used)

    return grpc.dynamic_ssl_server_credentials(_configuration(used), fetch, files.client_ca is not None)


def _configuration(contents: tuple[bytes, ...]) -> grpc.ServerCertificateConfiguration:
    certificate, key, *authorities = contents
    return grpc.ssl_server_certificate_configuration([(key, certificate)], authorities[0] if authorities else None)
