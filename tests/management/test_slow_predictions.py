"""Slow predictions and the request log of real servers."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.management.management_client import ManagedServer
from tests.resilience.conftest import StartServer
from tests.resilience.connections import post, request_each, rows
from tests.resilience.models import ControlledModel

pytestmark = pytest.mark.process


def reports(managed: ManagedServer) -> list[dict[str, Any]]:
    predictions: list[dict[str, Any]] = managed.probe("/debug/slow").body["predictions"]
    return predictions


@pytest.mark.parametrize("server_type", ["flask", "gunicorn", "fastapi"])
def test_a_running_prediction_is_reported_and_its_rows_are_recorded(
    start: StartServer, model: ControlledModel, tmp_path: Path, server_type: str
) -> None:
    log = tmp_path / "recorded" / "rows.jsonl"
    managed = ManagedServer(start, server_type, SLOW_SECONDS=0.1, RECORD=str(log))
    model.hold()
    with ThreadPoolExecutor(1) as thread:
        pending = thread.submit(asyncio.run, request_each(managed.server.port, [post(rows(1))]))
        # The first report may be older than the rows: on a busy machine they take longer to read.
        managed.server.wait_until(lambda: [one["rows"] for one in reports(managed)] == [1], "a report with rows")
        (report,) = reports(managed)
        model.release()
        assert [response.status for response in pending.result()] == [200]
    assert (report["state"], report["route"], report["rows"]) == ("running", "/predict", 1)
    assert report["samples"][0]["stack"][-1].keys() == {"file", "line", "function"}
    managed.server.stop()
    (file,) = log.parent.iterdir()
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line["row"] for line in lines] == [0]
    assert {line["request_id"] for line in lines} == {report["request_id"]}
