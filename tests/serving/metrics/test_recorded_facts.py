"""What handlers and executor record: rows, tokens, chunks, queue, batches and rejections."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from datarobot_drum.drum.exceptions import (
    ExecutorShutdown,
    InsufficientStorage,
    ModelNotReady,
    NotFound,
    PayloadTooLarge,
    RequestError,
    RequestTimeout,
    ServerOverloaded,
    StartupError,
    TooManyRequests,
    Unauthorized,
    UnprocessableInput,
)
from datarobot_drum.drum.management.management_process import check_management_port
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure
from datarobot_drum.drum.serving.messages import ModelResponse
from datarobot_drum.drum.serving.metrics.recorder import Recorder
from datarobot_drum.drum.serving.request_log import RequestLog, RequestLogEntry
from datarobot_drum.drum.settings.build import Settings
from tests.cases import each_case
from tests.serving.handlers_under_test import FakePredictor, make_handlers, numbers, post, post_json
from tests.serving.metrics.test_recorder import recorder, scrape

USAGE: dict[str, Any] = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
COMPLETION: dict[str, Any] = {"id": "1", "object": "chat.completion", "model": "m", "choices": [], "usage": USAGE}
CHUNKS: list[dict[str, Any]] = [{**COMPLETION, "usage": None}, {**COMPLETION, "usage": None}, COMPLETION]


@pytest.fixture
def own() -> Recorder:
    return recorder()


def chat(own: Recorder, result: Any, **params: Any) -> ModelResponse:
    handlers = make_handlers(FakePredictor(result, chats=True), "textgeneration", recorder=own)
    return handlers.do_chat(post_json({"messages": [{"role": "user", "content": "Hi"}], **params}))


def test_rows_and_durations_of_predictions(own: Recorder) -> None:
    make_handlers(FakePredictor(numbers(1, 2, 3)), recorder=own).do_predict_structured(post())
    blocks = FakePredictor([numbers(1, 2), numbers(3)])
    response = make_handlers(blocks, recorder=own).do_predict_stream(post())
    assert isinstance(response.content, Iterator) and list(response.content)
    found = scrape(own.read_server())
    assert (found["drum_rows_total"], found["drum_prediction_duration_seconds_count"]) == (6, 1)


def test_metrics_are_a_response_of_the_main_port(own: Recorder) -> None:
    response = make_handlers(FakePredictor(), recorder=own).do_metrics(post(Accept="text/plain"))
    assert response.media_type.startswith("text/plain")
    assert isinstance(response.content, bytes) and b"# TYPE drum_rows_total counter" in response.content


def test_without_the_extra_the_response_and_the_start_name_it(own: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datarobot_drum.drum.serving.scraping.PACKAGE", "not_installed")
    with pytest.raises(NotFound, match=r"datarobot-drum\[metrics\]"):
        make_handlers(FakePredictor(), recorder=own).do_metrics(post())
    server = SimpleNamespace(metrics="all", management_port=0)
    with pytest.raises(StartupError, match=r"datarobot-drum\[metrics\]"):
        check_management_port(cast(Settings, SimpleNamespace(server=server, port=1, host="127.0.0.1")))


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_are_counted_from_the_usage(own: Recorder, stream: bool) -> None:
    response = chat(own, iter([dict(chunk) for chunk in CHUNKS]) if stream else dict(COMPLETION), stream=stream)
    if not isinstance(response.content, bytes):
        assert len(list(response.content)) == len(CHUNKS) + 1
    found = scrape(own.read_server())
    assert found["drum_tokens_total[('direction', 'in')]"] == 7
    assert found["drum_tokens_total[('direction', 'out')]"] == 3
    assert found["drum_time_to_first_token_seconds_count"] == stream
    assert found["drum_chunk_duration_seconds_count"] == (len(CHUNKS) - 1) * stream


def test_unknown_usage_counts_no_tokens(own: Recorder) -> None:
    chat(own, {**COMPLETION, "usage": None})
    assert scrape(own.read_server())["drum_tokens_total[('direction', 'in')]"] == 0


@each_case(
    ("error", "reason"),
    [
        (Unauthorized("no key"), "unauthorized"),
        (TooManyRequests("3/day", 1), "rate_limit"),
        (PayloadTooLarge("large"), "too_large"),
        (RequestTimeout("slow"), "upload_timeout"),
        (InsufficientStorage("full"), "no_storage"),
        (ModelNotReady("loading"), "not_ready"),
        (UnprocessableInput("no rejection"), None),
    ],
)
def test_a_rejection_before_the_executor_is_counted_once(error: RequestError, reason: str | None) -> None:
    own = recorder()
    with RequestLogEntry(RequestLog(recorder=own), "POST", "/predict", lambda name: "") as entry:
        error_response(error)
        entry.status = error_response(error).status  # a handler of errors may build it twice
    found = {name: value for name, value in scrape(own.read_server()).items() if name.startswith("drum_rejected_total")}
    assert {name for name, value in found.items() if value} == (
        {f"drum_rejected_total[('reason', '{reason}')]"} if reason else set()
    )
    assert sum(found.values()) == (1 if reason else 0)


def test_waits_and_rejections_of_the_executor(own: Recorder) -> None:
    release = threading.Event()
    with ExecutorWithBackpressure(1, queue_timeout=0, recorder=own) as executor, ThreadPoolExecutor(1) as thread:
        running = threading.Event()

        def work() -> None:
            running.set()
            release.wait()

        call = thread.submit(executor.call, work)
        running.wait()
        with pytest.raises(ServerOverloaded):
            executor.call(int)
        executor.sample_metrics()
        assert scrape(own.read_server())["drum_executor_slots[('state', 'running')]"] == 1
        release.set()
        call.result()
    with pytest.raises(ExecutorShutdown):
        executor.call(int)
    found = scrape(own.read_server())
    assert found["drum_queue_wait_seconds_count"] == 1
    assert found["drum_rejected_total[('reason', 'no_free_slot')]"] == 1
    assert found["drum_rejected_total[('reason', 'shutdown')]"] == 1
