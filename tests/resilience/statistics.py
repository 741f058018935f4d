"""Executor metrics of a FastAPI server."""

from typing import Any

from tests.processes import RunningServer

IDLE = {"executor_running": 0, "executor_waiting": 0, "executor_pending": 0}


def stats(server: RunningServer) -> dict[str, Any]:
    response = server.client.get("/stats/")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def wait_for(server: RunningServer, **wanted: int) -> dict[str, Any]:
    """Wait until these executor metrics (named without their prefix) have these values."""
    return _wait(server, {f"executor_{name}": value for name, value in wanted.items()})


def wait_idle(server: RunningServer) -> dict[str, Any]:
    """Wait until nothing runs or waits and every slot is free; return the statistics."""
    found = _wait(server, IDLE)
    assert found["executor_queue_available"] == found["executor_workers"] + found["executor_max_queue"]
    return found


def _wait(server: RunningServer, wanted: dict[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def is_reached() -> bool:
        found.update(stats(server))
        return wanted.items() <= found.items()

    server.wait_until(is_reached, str(wanted))
    return found
