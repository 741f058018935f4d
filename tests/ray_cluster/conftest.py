"""A Ray cluster of two nodes on this machine; the tests are skipped where the extra is not installed."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
pytest.importorskip("ray.serve", reason="the extra ray is not installed")

NODE = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 100_000_000}
_ATTEMPTS = 5


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Return a cluster with a head and one more node, each with two CPUs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        patch.setenv("OMP_NUM_THREADS", "1")
        from ray.cluster_utils import Cluster

        started = Cluster()
        add_node(started)
        add_node(started)
        ray.init(address=started.address, log_to_driver=False)
        try:
            yield started
        finally:
            ray.shutdown()
            started.shutdown()


def add_node(cluster: Any) -> Any:
    """Add a node. Its agent must start within 15 seconds, which a busy machine may not allow at once."""
    found = None
    for _ in range(_ATTEMPTS):
        with suppress(Exception):
            found = found or cluster.add_node(**NODE)
    return found or cluster.add_node(**NODE)
