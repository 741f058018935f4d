"""What the tests of the core share."""

from collections.abc import Iterator

import pytest

from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure
from tests.serving.execution.blocking_call import PATIENCE


@pytest.fixture
def executor() -> Iterator[ExecutorWithBackpressure]:
    """One thread, so whoever comes second waits."""
    with ExecutorWithBackpressure(1, 10, PATIENCE) as executor:
        yield executor
