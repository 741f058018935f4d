"""An engine and servers in front of it, started once per module."""

from collections.abc import Iterator

import pytest

from tests.api.trios import SERVER_TYPES, Trio
from tests.engine.running import RunningEngine, engine_trio
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
def trio(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    """All servers, with the engine as their text generation model and no hooks."""
    with engine_trio(tmp_path_factory.mktemp("trio"), engine.port) as trio:
        yield trio


@pytest.fixture
def server(trio: Trio, server_type: str) -> RunningServer:
    return trio[server_type]
