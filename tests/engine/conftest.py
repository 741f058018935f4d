"""An engine and servers in front of it, started once per module."""

from collections.abc import Iterator

import pytest

from tests.api.all_servers import SERVER_TYPES, Servers
from tests.engine.running import RunningEngine, engine_servers
from tests.processes import RunningServer


@pytest.fixture(params=SERVER_TYPES)
def server_type(request: pytest.FixtureRequest) -> str:
    """Run each test that depends on this fixture once per server type."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with RunningEngine(tmp_path_factory.mktemp("engine") / "log") as engine:
        assert isinstance(engine, RunningEngine)
        yield engine


@pytest.fixture(scope="module")
def all_servers(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """All servers, with the engine as their text generation model and no hooks."""
    with engine_servers(tmp_path_factory.mktemp("all_servers"), engine.port) as servers:
        yield servers


@pytest.fixture
def server(all_servers: Servers, server_type: str) -> RunningServer:
    return all_servers[server_type]
