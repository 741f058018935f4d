"""Servers of the API tests: every model runs on Flask, gunicorn and FastAPI, started once."""

from collections.abc import Iterator

import httpx
import pytest

from tests.api.all_servers import SERVER_TYPES, Servers, running_servers
from tests.api.models import BROKEN, ECHO, RAW, write_code
from tests.processes import RunningServer

PREFIX = "/a/b"
UPLOAD_LIMIT = 200_000
SECRET = "s3cret-t0ken-of-the-tests"


@pytest.fixture(params=SERVER_TYPES)
def server_type(request: pytest.FixtureRequest) -> str:
    """Run the test on each server, as does every fixture that depends on this one."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def echo_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A regression model that predicts checksums, or misbehaves as its input says."""
    folder = tmp_path_factory.mktemp("echo")
    model = write_code(folder / "model", ECHO)
    with running_servers(folder, "--code-dir", model, "--target-type", "regression", "--api-token", SECRET) as servers:
        yield servers


@pytest.fixture(scope="session")
def raw_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A model with a read hook, below a URL prefix and with a limit for request bodies."""
    folder = tmp_path_factory.mktemp("raw")
    model = write_code(folder / "model", RAW)
    environment = {"URL_PREFIX": PREFIX, "DRUM_MAX_UPLOAD_SIZE": str(UPLOAD_LIMIT)}
    with running_servers(
        folder, "--code-dir", model, "--target-type", "regression", environment=environment
    ) as servers:
        yield servers


@pytest.fixture(scope="session")
def error_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Error servers: the code of the model imports a module that does not exist."""
    folder = tmp_path_factory.mktemp("broken")
    model = write_code(folder / "model", BROKEN)
    arguments = ["--code-dir", str(model), "--target-type", "regression", "--with-error-server"]
    with running_servers(folder, *arguments, ready_status=513) as servers:
        yield servers


@pytest.fixture(scope="module")
def all_servers(echo_servers: Servers) -> Servers:
    """The servers of a test module; modules with a model of their own replace it."""
    return echo_servers


@pytest.fixture
def server(all_servers: Servers, server_type: str) -> RunningServer:
    """One of the servers of the module; the test runs on each."""
    return all_servers[server_type]


@pytest.fixture
def client(server: RunningServer) -> httpx.Client:
    return server.client


@pytest.fixture
def raw_server(raw_servers: Servers, server_type: str) -> RunningServer:
    return raw_servers[server_type]


@pytest.fixture
def broken_client(error_servers: Servers, server_type: str) -> httpx.Client:
    return error_servers[server_type].client
