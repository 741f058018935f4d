"""What only the FastAPI adapter has: an event loop that nothing may block, and clients that leave in the middle."""

import asyncio
import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from datarobot_drum.drum.fastapi.app import build_app
from datarobot_drum.drum.serving.body.spooled_file import CHUNK_SIZE, SpooledUploadFile
from datarobot_drum.drum.serving.model_state import ModelState
from tests.adapters.asgi_calls import AsgiCall
from tests.adapters.cores import PATIENCE, CoreUnderTest
from tests.cases import each_case

CSV = (("Content-Type", "text/csv"),)


@pytest.fixture
def parts(tmp_path: Path) -> CoreUnderTest:
    return CoreUnderTest(tmp_path)


@pytest.fixture
def app(parts: CoreUnderTest) -> FastAPI:
    return build_app(parts.core)


async def _until(condition: Callable[[], object]) -> None:
    """Let the loop run until ``condition`` holds."""

    async def ask() -> None:
        while not condition():  # noqa: ASYNC110  # what is waited for knows nothing of events
            await asyncio.sleep(0)

    await asyncio.wait_for(ask(), PATIENCE)


async def _running_call(app: FastAPI, parts: CoreUnderTest) -> AsgiCall:
    """A prediction that keeps the only prediction thread."""
    parts.predictor.hold()
    call = AsgiCall(app).push(b"x\n1\n", more=False).start()
    await _until(lambda: parts.executor.running == 1)
    return call


@each_case(
    ("length", "size"),
    [(0, 1), (4, 1), (1024, 7), (1025, 1000), (1025, CHUNK_SIZE + 1), (700_000, 1000), (700_000, CHUNK_SIZE + 1)],
)
async def test_a_body_is_the_same_in_whatever_pieces_it_comes(
    app: FastAPI, parts: CoreUnderTest, length: int, size: int
) -> None:
    if length // size > 2000:
        size = length // 2000
    call = AsgiCall(app, headers=CSV)
    for start in range(0, length, size):
        call.push(b"x" * min(size, length - start))
    await call.push(b"", more=False).start().finish()
    if length:
        assert (call.status, call.document) == (200, {"predictions": [float(length)]})
    else:
        assert call.status == 422
    assert parts.left_behind() == {}


async def test_a_request_is_freed_without_the_garbage_collector(app: FastAPI, parts: CoreUnderTest) -> None:
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        call = await AsgiCall(app, headers=CSV).push(b"x\n1\n", more=False).start().finish()
        status = call.status
        del call
        gc.collect()
        left = {type(found).__name__ for found in gc.garbage if type(found).__module__.startswith("datarobot_drum")}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert (status, left) == (200, set())


@pytest.mark.parametrize("length", [1024, 1025, 3 * CHUNK_SIZE], ids=["memory", "one-byte-more", "large"])
async def test_only_other_threads_than_the_event_loops_touch_the_disk(
    app: FastAPI, parts: CoreUnderTest, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    touched: dict[bool, set[int]] = {True: set(), False: set()}
    for name in ("write", "seek", "read"):
        monkeypatch.setattr(SpooledUploadFile, name, _recording(getattr(SpooledUploadFile, name), touched))
    call = AsgiCall(app, headers=CSV).start()
    for _ in range(length // 512):
        call.push(b"x" * 512)
        await call.swallowed()
    await call.push(b"x" * (length % 512), more=False).finish()
    loop_thread = threading.get_ident()
    assert call.document == {"predictions": [float(length)]}
    assert loop_thread in touched[False], "bytes in memory need no thread"
    assert loop_thread not in touched[True]
    assert bool(touched[True]) == (length > 1024)


async def test_a_form_that_has_gone_to_disk_is_rewound_off_the_event_loop(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: dict[bool, set[int]] = {True: set(), False: set()}
    monkeypatch.setattr(SpooledUploadFile, "seek", _recording(SpooledUploadFile.seek, touched))
    head = b'--b\r\nContent-Disposition: form-data; name="X"; filename="x.csv"\r\n\r\n'
    call = AsgiCall(app, headers=[("Content-Type", "multipart/form-data; boundary=b")])
    await call.push(head + b"x" * 2000 + b"\r\n--b--\r\n", more=False).start().finish()
    assert call.document == {"predictions": [2000.0]}
    assert touched[True] and threading.get_ident() not in touched[True]


def _recording(method: Callable[..., Any], touched: dict[bool, set[int]]) -> Callable[..., Any]:
    """``method``, noting which threads call it on files that are on disk afterwards, and which on others."""

    def recorded(upload: SpooledUploadFile, *args: Any) -> Any:
        result = method(upload, *args)
        touched[upload.on_disk].add(threading.get_ident())
        return result

    return recorded


async def test_the_model_runs_on_a_prediction_thread_and_the_loop_goes_on(app: FastAPI, parts: CoreUnderTest) -> None:
    prediction = await _running_call(app, parts)
    for path in ("/livez", "/readyz", "/", "/info/", "/stats/", "/capabilities/"):
        assert (await AsgiCall(app, path, "GET").start().finish()).status == 200
    assert not prediction.task.done()
    parts.predictor.release()
    assert (await prediction.finish()).status == 200
    assert all(name.startswith("drum-predict") for name in parts.predictor.threads)


@pytest.mark.parametrize("sent", [0, 100, 5000], ids=["nothing", "in-memory", "on-disk"])
async def test_a_client_that_leaves_while_it_uploads_leaves_nothing_behind(
    app: FastAPI, parts: CoreUnderTest, sent: int
) -> None:
    call = AsgiCall(app).push(b"x" * sent).start()
    await call.swallowed()
    call.disconnect()
    await call.finish()
    assert parts.left_behind() == {}
    assert parts.predictor.payloads == []
    assert parts.executor.metrics()["executor_completed"] == 0


@pytest.mark.parametrize("sent", [100, 5000], ids=["in-memory", "on-disk"])
async def test_a_client_that_leaves_while_it_uploads_a_form_leaves_nothing_behind(
    app: FastAPI, parts: CoreUnderTest, sent: int
) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="X"; filename="x.csv"\r\n\r\n'
    call = AsgiCall(app, headers=[("Content-Type", "multipart/form-data; boundary=b")]).push(form + b"x" * sent).start()
    await call.swallowed()
    call.disconnect()
    await call.finish()
    assert parts.left_behind() == {}


@pytest.mark.parametrize("sent", [100, 5000], ids=["in-memory", "on-disk"])
async def test_a_client_that_leaves_while_its_call_waits_frees_its_place_and_its_files(
    app: FastAPI, parts: CoreUnderTest, sent: int
) -> None:
    first = await _running_call(app, parts)
    second = AsgiCall(app).push(b"x" * sent, more=False).start()
    await _until(lambda: parts.executor.waiting == 1)
    second.disconnect()
    await second.finish()
    assert (parts.executor.waiting, second.status) == (0, 499)
    parts.predictor.release()
    await first.finish()
    assert parts.executor.metrics()["executor_cancelled"] == 1
    assert len(parts.predictor.payloads) == 1, "work of a client that left never runs"
    assert parts.left_behind() == {}


async def test_a_client_that_leaves_while_its_call_runs_keeps_the_slot_until_the_work_ends(
    app: FastAPI, parts: CoreUnderTest
) -> None:
    call = await _running_call(app, parts)
    call.disconnect()
    second = AsgiCall(app).push(b"x\n1\n", more=False).start()
    await _until(lambda: parts.executor.waiting == 1)
    assert parts.executor.running == 1
    parts.predictor.release()
    assert (await second.finish()).status == 200
    await call.finish()
    assert parts.left_behind() == {}


@pytest.mark.parametrize("waits", [True, False], ids=["waiting", "uploading"])
async def test_a_request_that_the_server_cancels_leaves_nothing_behind(
    app: FastAPI, parts: CoreUnderTest, waits: bool
) -> None:
    first = await _running_call(app, parts)
    second = AsgiCall(app).push(b"x" * 5000, more=not waits).start()
    await second.swallowed()
    if waits:
        await _until(lambda: parts.executor.waiting == 1)
    second.task.cancel()
    await asyncio.wait([second.task])
    parts.predictor.release()
    await first.finish()
    assert parts.left_behind() == {} and len(parts.predictor.payloads) == 1


async def test_a_refused_call_is_told_when_to_come_back_and_its_files_are_closed(tmp_path: Path) -> None:
    parts = CoreUnderTest(tmp_path, queue_timeout=0)
    app = build_app(parts.core)
    first = await _running_call(app, parts)
    second = await AsgiCall(app).push(b"x" * 5000, more=False).start().finish()
    assert (second.status, second.headers["retry-after"]) == (503, "5")
    assert second.document["error"] == "SERVICE_UNAVAILABLE"
    parts.predictor.release()
    await first.finish()
    assert parts.left_behind() == {}


async def test_a_body_over_the_limit_is_refused_while_it_is_sent_and_its_rest_thrown_away(tmp_path: Path) -> None:
    parts = CoreUnderTest(tmp_path, max_size=4000, spool_size=10_000)
    call = AsgiCall(build_app(parts.core)).push(b"x" * 3000).start()
    await call.swallowed()
    assert not call.sent
    call.push(b"x" * 3000)
    await call.swallowed()
    assert (call.status, call.headers["connection"]) == (413, "close")
    await call.push(b"x" * 3000, more=False).finish()
    assert "4000 bytes" in call.document["message"]
    assert parts.left_behind() == {}


async def test_a_body_that_says_it_is_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    parts = CoreUnderTest(tmp_path, max_size=4000)
    call = AsgiCall(build_app(parts.core), headers=[("Content-Length", "4001")]).start()
    await call.swallowed()
    assert call.status == 413
    call.disconnect()
    await call.finish()
    assert parts.left_behind() == {}


async def test_a_prediction_waits_for_a_model_that_loads(parts: CoreUnderTest) -> None:
    state = ModelState()
    app = build_app(parts.with_core(state=state).core)
    calls = [AsgiCall(app).push(b"x\n1\n", more=False).start() for _ in range(3)]
    await asyncio.wait([call.task for call in calls], timeout=0)
    assert [call.status for call in calls] == [None] * 3
    state.set_ready()
    assert [(await call.finish()).status for call in calls] == [200] * 3


async def test_a_prediction_is_refused_when_the_model_does_not_load_in_time(parts: CoreUnderTest) -> None:
    app = build_app(parts.with_core(state=ModelState(), load_timeout=0.0).core)
    call = await AsgiCall(app).push(b"x\n1\n", more=False).start().finish()
    assert (call.status, call.headers["retry-after"]) == (503, "5")


async def test_an_unexpected_error_of_an_apps_own_route_is_answered_as_every_error_is(parts: CoreUnderTest) -> None:
    app = FastAPI()

    @app.get("/mine")
    def mine() -> None:
        raise ValueError("my own mistake")

    call = await AsgiCall(build_app(parts.core, app), "/mine", "GET").start().finish()
    assert (call.status, call.document) == (500, {"message": "ERROR: ValueError: my own mistake"})
    assert {"x-request-id", "x-drum-version"} <= call.headers.keys()


async def test_an_answer_that_breaks_off_is_not_mended_by_a_second_one(parts: CoreUnderTest) -> None:
    app = FastAPI()

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ConnectionError("half an answer")

    app.mount("/broken", broken)
    call = AsgiCall(build_app(parts.core, app), "/broken/", "GET").start()
    with pytest.raises(ConnectionError):
        await call.finish()
    assert len(call.sent) == 1 and parts.left_behind() == {}


async def test_every_answer_of_a_draining_worker_sends_its_client_elsewhere(app: FastAPI, parts: CoreUnderTest) -> None:
    parts.worker_ctx.drain()
    call = await AsgiCall(app).push(b"x\n1\n", more=False).start().finish()
    assert (call.status, call.headers["connection"]) == (200, "close")
    assert (await AsgiCall(app, "/readyz", "GET").start().finish()).status == 503


async def test_the_end_of_the_app_ends_its_worker(app: FastAPI, parts: CoreUnderTest) -> None:
    closed = []
    parts.worker_ctx.defer_cleanup(lambda: closed.append("closed"))
    async with app.router.lifespan_context(app):
        assert parts.worker_ctx.is_running and not closed
    assert closed == ["closed"] and not parts.worker_ctx.is_running
