"""What the suites of both frameworks share."""

import pytest

from tests.extensions.request_kinds import KINDS, Outcome
from tests.extensions.servers import Servers


@pytest.fixture(scope="module")
def plain(servers: Servers) -> dict[str, Outcome]:
    """The responses without an extension."""
    return {kind: send_kind(servers[""], {}) for kind, send_kind in KINDS.items()}
