"""Fixtures of the executor's tests."""

from collections.abc import Iterator

import pytest

from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure
from tests.serving.execution.blocking_call import TIMEOUT


@pytest.fixture
def executor() -> Iterator[ExecutorWithBackpressure]:
    """An executor with one thread: a second call waits."""
    with ExecutorWithBackpressure(1, 10, TIMEOUT) as executor:
        yield executor
