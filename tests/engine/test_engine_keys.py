"""API keys of this server never reach the engine, also where other credentials do."""

from collections.abc import Iterator

import pytest

from tests.api.all_servers import Servers
from tests.engine.running import RunningEngine, engine_servers

pytestmark = pytest.mark.process

KEY = "a-key-of-the-engine-tests"


@pytest.fixture(scope="module")
def all_servers(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    environment = {"DRUM_API_KEYS": KEY, "DRUM_ENGINE_FORWARD_AUTHORIZATION": "1"}
    with engine_servers(tmp_path_factory.mktemp("keyed"), engine.port, environment=environment) as servers:
        yield servers


@pytest.mark.parametrize(
    ("headers", "forwarded"),
    [
        ({"Authorization": f"Bearer {KEY}"}, None),
        ({"X-API-Key": KEY}, None),
        ({"Authorization": "Bearer of-the-engine", "X-API-Key": KEY}, "Bearer of-the-engine"),
    ],
)
def test_engine_gets_only_credentials_of_its_own(
    all_servers: Servers, headers: dict[str, str], forwarded: str | None
) -> None:
    for server in all_servers.values():
        response = server.client.get("/nim/x", headers=headers)
        assert response.status_code == 200
        assert KEY not in response.text
        assert {name.lower(): value for name, value in response.json()["headers"]}.get("authorization") == forwarded


def test_direct_access_needs_a_key(all_servers: Servers) -> None:
    for server in all_servers.values():
        assert [server.client.get(path).status_code for path in ("/nim/x", "/directAccess/")] == [401, 401]
