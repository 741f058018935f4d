"""TLS on every server that has it: handshakes, renewed files, certificates of clients, limits, the watchdog."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import trustme

from tests.api.connections import receive, request_bytes, status_of
from tests.api.models import write_code
from tests.certificates import CertificateFiles, client_context, issue
from tests.processes import RunningServer, clean_environment

pytestmark = pytest.mark.process

KEY = "a-key-of-the-tls-tests"
HEADERS = {"X-API-Key": KEY, "Content-Type": "text/csv"}
ROWS = 200_000

KINDS: dict[str, dict[str, str]] = {
    "fastapi": {"DRUM_SERVER_TYPE": "fastapi"},
    "fastapi workers": {"DRUM_SERVER_TYPE": "fastapi", "CUSTOM_MODEL_WORKERS": "2"},
    "sync": {"DRUM_SERVER_TYPE": "gunicorn"},
    "gthread": {
        "DRUM_SERVER_TYPE": "gunicorn",
        "DRUM_GUNICORN_WORKER_CLASS": "gthread",
        "DRUM_GUNICORN_THREADS": "4",
    },
    "gevent": {"DRUM_SERVER_TYPE": "gunicorn", "DRUM_GUNICORN_WORKER_CLASS": "gevent"},
}

MODEL = """
import pandas as pd


def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data.iloc[:, 0].astype(float)})
"""


class SecureServer(RunningServer):
    """A server with TLS, and the files of its certificate."""

    def __init__(self, model: Path, folder: Path, authority: trustme.CA, environment: Mapping[str, str]) -> None:
        folder.mkdir(exist_ok=True)
        self.files = CertificateFiles(folder)
        self.files.write(issue(authority))
        variables = {"DRUM_LAME_DUCK_SECONDS": "0", "DRUM_API_KEYS": KEY, "DRUM_UPLOAD_TIMEOUT": "3"}
        super().__init__(
            "--code-dir",
            model,
            "--target-type",
            "regression",
            log=folder / "log",
            environment={**variables, **self.files.variables, **environment},
            ready=None,
        )
        self.url = f"https://127.0.0.1:{self.port}"

    def __enter__(self) -> "SecureServer":
        super().__enter__()
        return self

    def secure_client(self, context: ssl.SSLContext) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=context, trust_env=False, timeout=30.0, headers=HEADERS)

    def responds(self, context: ssl.SSLContext, path: str = "/readyz") -> bool:
        try:
            with self.secure_client(context) as client:
                return client.get(path).status_code == 200
        except httpx.TransportError:
            return False

    def wait_secure(self, context: ssl.SSLContext) -> None:
        self.wait_until(lambda: self.responds(context), "200 over TLS")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    return client_context(authority)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_code(tmp_path_factory.mktemp("model"), MODEL)


@pytest.fixture(scope="module")
def servers(
    tmp_path_factory: pytest.TempPathFactory, model: Path, authority: trustme.CA, trusting: ssl.SSLContext
) -> Iterator[dict[str, SecureServer]]:
    folder = tmp_path_factory.mktemp("secure")
    with ExitStack() as stack:
        servers = {}
        for kind, environment in KINDS.items():
            servers[kind] = SecureServer(model, folder / kind, authority, environment)
            stack.enter_context(servers[kind])
        for server in servers.values():
            server.wait_secure(trusting)
        yield servers
        for server in servers.values():
            server.send_signal(signal.SIGTERM)
        for server in servers.values():
            assert server.wait() == 0, server.log_end()


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, servers: dict[str, SecureServer]) -> SecureServer:
    return servers[request.param]


def connection_of(server: SecureServer, context: ssl.SSLContext, *, needs_end: bool = False) -> ssl.SSLSocket:
    """Return a connection after its handshake; with ``needs_end`` a session that does not end in order is an error."""
    connection = socket.create_connection(("127.0.0.1", server.port), 20.0)
    return context.wrap_socket(connection, server_hostname="localhost", suppress_ragged_eofs=not needs_end)


def test_predictions_are_those_of_plain_http(server: SecureServer, trusting: ssl.SSLContext) -> None:
    with server.secure_client(trusting) as client:
        for _ in range(2):
            assert client.post("/predict/", content=b"a\n1\n2\n").json() == {"predictions": [1.0, 2.0]}
        assert client.post("/predict/", content=b"a\n1\n", headers={"X-API-Key": "wrong"}).status_code == 401


def test_health_check_of_the_image_takes_any_certificate(server: SecureServer) -> None:
    environment = {**clean_environment(), **server.files.variables, "PORT": str(server.port)}
    command = [sys.executable, "-m", "datarobot_drum.drum.management.healthcheck"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_large_bodies_and_responses_arrive_whole(server: SecureServer, trusting: ssl.SSLContext) -> None:
    content = ("a\n" + "\n".join(map(str, range(ROWS))) + "\n").encode()
    with server.secure_client(trusting) as client:
        expected = {"predictions": [float(number) for number in range(ROWS)]}
        assert client.post("/predict/", content=content).json() == expected
        assert client.post("/predictionsStream/", content=content).json() == expected

        def chunks() -> Iterator[bytes]:
            for start in range(0, len(content), 100_000):
                yield content[start : start + 100_000]

        assert client.post("/predict/", content=chunks()).json() == expected


def test_the_end_of_a_response_is_the_end_of_the_session(server: SecureServer, trusting: ssl.SSLContext) -> None:
    """A client that gets no close_notify takes the response for a truncated one."""
    with connection_of(server, trusting, needs_end=True) as connection:
        connection.sendall(request_bytes(server, "GET /livez HTTP/1.1"))
        response = b""
        while chunk := connection.recv(65_536):
            response += chunk
        assert status_of(response) == 200


def test_a_request_in_small_records_is_read(server: SecureServer, trusting: ssl.SSLContext) -> None:
    body = b"a\n" + b"1\n" * 50
    request = request_bytes(server, "POST /predict/ HTTP/1.1", f"X-API-Key: {KEY}", f"Content-Length: {len(body)}")
    with connection_of(server, trusting) as connection:
        for start in range(0, len(request + body), 40):
            connection.sendall((request + body)[start : start + 40])
        assert status_of(receive(connection)) == 200


def test_old_versions_and_other_protocols_are_refused(server: SecureServer, trusting: ssl.SSLContext) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 20.0) as connection:
        connection.sendall(request_bytes(server, "GET /livez HTTP/1.1"))
        assert b"200" not in receive(connection)
    with pytest.raises(httpx.ConnectError), server.secure_client(client_context(trustme.CA())) as client:
        client.get("/livez")
    assert "Traceback" not in server.log()
    assert server.responds(trusting)


def test_silent_connections_do_not_block_others(server: SecureServer, trusting: ssl.SSLContext) -> None:
    """Without a byte, in mid-handshake, and after the handshake; each ends by its deadline."""
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20.0)) for _ in range(3)]
        silent[1].sendall(b"\x16\x03\x01\x02\x00\x01")
        secured = [stack.enter_context(connection_of(server, trusting)) for _ in range(2)]
        secured[1].sendall(b"GET /livez HT")
        for _ in range(3):
            assert server.responds(trusting, "/livez")
        assert status_of(receive(secured[1])) == 408


def test_a_renewed_certificate_needs_no_restart(server: SecureServer, trusting: ssl.SSLContext) -> None:
    other = trustme.CA()
    with connection_of(server, trusting) as former:
        former.sendall(b"GET /livez HTTP/1.1\r\n")
        server.files.write(issue(other))
        server.wait_until(lambda: server.responds(client_context(other)), "the renewed certificate")
        former.sendall(b"Host: a\r\n\r\n")
        assert status_of(receive(former)) == 200


@pytest.mark.parametrize("kind", ["fastapi", "sync"])
def test_clients_need_certificates_of_the_given_authority(
    tmp_path: Path, model: Path, authority: trustme.CA, trusting: ssl.SSLContext, kind: str
) -> None:
    clients = trustme.CA()
    clients.cert_pem.write_to_path(str(tmp_path / "clients.pem"))
    environment = {**KINDS[kind], "DRUM_TLS_CLIENT_CA": str(tmp_path / "clients.pem")}
    with SecureServer(model, tmp_path / "server", authority, environment) as server:
        known = client_context(authority, client=clients.issue_cert("client@x.example"))
        server.wait_secure(known)
        assert not server.responds(trusting, "/livez")
        assert not server.responds(client_context(authority, client=authority.issue_cert("client@x.example")), "/livez")
        assert "Traceback" not in server.log()


@pytest.mark.parametrize("kind", ["fastapi", "sync"])
def test_the_watchdog_and_the_management_port_work(
    tmp_path: Path, model: Path, authority: trustme.CA, trusting: ssl.SSLContext, kind: str
) -> None:
    environment = {
        **KINDS[kind],
        "USE_NIM_WATCHDOG": "1",
        "DRUM_WATCHDOG_TIMEOUT": "0.2",
        "DRUM_WATCHDOG_ATTEMPTS": "2",
        "DRUM_MANAGEMENT_PORT": str(_free_port()),
    }
    with SecureServer(model, tmp_path / "server", authority, environment) as server:
        server.wait_secure(trusting)
        server.wait_until(lambda: "Watching https://127.0.0.1" in server.log(), "a watchdog")
        time.sleep(1.0)  # several attempts
        assert "failed" not in server.log()
        url = f"http://127.0.0.1:{environment['DRUM_MANAGEMENT_PORT']}/readyz"
        assert httpx.get(url, trust_env=False).status_code == 200


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"DRUM_SERVER_TYPE": "flask"}, "needs DRUM_SERVER_TYPE=gunicorn or fastapi"),
        ({"DRUM_TLS_KEY": "/no/key.pem"}, "DRUM_TLS_KEY: /no/key.pem cannot be read: no such file or directory."),
        ({"DRUM_TLS_KEY": ""}, "DRUM_TLS_KEY is missing"),
        ({"DRUM_TLS_CLIENT_CA": os.devnull}, "DRUM_TLS_CLIENT_CA: /dev/null holds no valid certificate"),
        ({"DRUM_TLS_CLIENT_CA": "{cert}", "USE_NIM_WATCHDOG": "1"}, "the watchdog has no certificate"),
    ],
)
def test_what_cannot_be_served_fails_the_start(
    tmp_path: Path, model: Path, authority: trustme.CA, environment: dict[str, str], message: str
) -> None:
    folder = tmp_path / "server"
    given = {name: value.replace("{cert}", str(folder / "cert.pem")) for name, value in environment.items()}
    server = SecureServer(model, folder, authority, {"DRUM_SERVER_TYPE": "fastapi", **given}).start()
    server.client.close()
    assert server.wait() == 1
    assert message in server.log()
    assert "Traceback" not in server.log()
