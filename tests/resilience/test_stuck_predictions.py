"""A server ends although a prediction in it does not."""

import asyncio
import signal

import pytest

from tests.resilience.conftest import StartServer
from tests.resilience.connections import post, request_once, rows
from tests.resilience.models import ControlledModel

pytestmark = pytest.mark.process


@pytest.mark.parametrize("server_type", ["fastapi", "flask", "gunicorn"])
def test_server_ends_while_timed_out_prediction_still_runs(
    start: StartServer, model: ControlledModel, server_type: str
) -> None:
    server = start(server_type, CLIENT_REQUEST_TIMEOUT=1, GUNICORN_GRACEFUL_TIMEOUT=600)
    model.hold()
    response = asyncio.run(request_once(server.port, post(rows(1))))
    assert (response.status, model.ran) == (504, [1])
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0, server.log()
