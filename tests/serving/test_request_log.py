"""Counts, headers and access log of requests."""

import logging
import threading
from contextvars import copy_context

import pytest

from datarobot_drum.drum.serving.request_log import RequestLog, RequestLogEntry
from datarobot_drum.drum.tracing.request_id import request_id
from datarobot_drum.version import __version__
from tests.cases import each_case

TIMEOUT = 20.0
PROBES = frozenset({"/livez"})


def entry(log: RequestLog, path: str = "/predict/", **headers: str) -> RequestLogEntry:
    return RequestLogEntry(log, "POST", path, lambda name: headers.get(name.replace("-", "_"), ""))


def served(log: RequestLog, status: int, path: str = "/predict/") -> None:
    with entry(log, path) as request:
        request.status = status


def test_outcomes_are_counted_by_status() -> None:
    log = RequestLog(PROBES)
    for status in (200, 422, 500, 503, 504, 499, 0):
        served(log, status)
    served(log, 200, "/livez")
    assert log.summary().startswith("served 3, refused 1, abandoned 3, longest 0.")


def test_request_in_flight_is_counted_until_its_end() -> None:
    log = RequestLog(PROBES)
    with entry(log):
        assert log.in_flight == 1
        assert log.summary().endswith("cut off 1")
    assert log.in_flight == 0


def test_probe_is_not_in_flight() -> None:
    log = RequestLog(PROBES)
    with entry(log, "/livez"):
        assert log.in_flight == 0


def test_wait_empty_returns_after_the_last_request() -> None:
    log = RequestLog()
    results: list[bool] = []
    waiter = threading.Thread(target=lambda: results.append(log.wait_empty(TIMEOUT)))
    with entry(log):
        waiter.start()
        assert not log.wait_empty(0)
    waiter.join()
    assert results == [True]


def test_request_id_comes_from_the_request_and_ends_with_it() -> None:
    before = request_id.get()
    with entry(RequestLog(), x_request_id="abc") as request:
        assert request_id.get() == "abc"
        assert request.headers == {"X-Drum-Version": __version__, "X-Request-ID": "abc"}
    assert request_id.get() == before


def test_request_may_end_in_another_context() -> None:
    log = RequestLog()
    request = copy_context().run(entry(log).__enter__)
    copy_context().run(request.__exit__, None, None, None)
    assert log.in_flight == 0


def test_request_without_an_id_gets_a_new_one() -> None:
    ids = {entry(RequestLog()).headers["X-Request-ID"] for _ in range(2)}
    assert len(ids) == 2 and all(ids)


@each_case(
    ("path", "status", "level", "text"),
    [
        ("/predict/", 200, logging.INFO, "POST /predict/ 200 "),
        ("/predict/", 0, logging.INFO, "POST /predict/ no response: the client disconnected "),
        ("/livez", 200, logging.DEBUG, "POST /livez 200 "),
        ("/livez", 503, logging.INFO, "POST /livez 503 "),
    ],
)
def test_access_log_has_one_line_a_request(
    caplog: pytest.LogCaptureFixture, path: str, status: int, level: int, text: str
) -> None:
    caplog.set_level(logging.DEBUG, "drum.access")
    served(RequestLog(PROBES), status, path)
    (record,) = caplog.records
    assert record.levelno == level and record.getMessage().startswith(text)
