"""What the tests of hooks on all servers share."""

import pytest

from tests.api.all_servers import SERVER_TYPES, Servers
from tests.processes import RunningServer


@pytest.fixture(params=SERVER_TYPES)
def server(all_servers: Servers, request: pytest.FixtureRequest) -> RunningServer:
    """Each of the servers that the module has started."""
    return all_servers[request.param]
