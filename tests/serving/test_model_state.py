import asyncio
import threading

import pytest

from datarobot_drum.drum.exceptions import ModelFailedToLoad, ModelNotReady
from datarobot_drum.drum.serving.model_state import ModelState, Phase
from datarobot_drum.runtime_parameters.masking import MASK, register_secret


def test_model_starts_as_loading() -> None:
    state = ModelState()
    assert state.phase is Phase.LOADING and not state.finished.done()
    with pytest.raises(ModelNotReady):
        state.require_ready()


def test_ready_model_accepts_predictions() -> None:
    state = ModelState()
    state.set_ready()
    state.wait(60)
    state.require_ready()


def test_failed_model_raises_the_cause_without_secrets() -> None:
    register_secret("hunter-2")
    state = ModelState()
    state.set_failed("No access with hunter-2.")
    with pytest.raises(ModelFailedToLoad, match="No access with"):
        state.require_ready()
    assert state.cause == f"No access with {MASK}."


def test_phase_changes_once() -> None:
    ready, failed = ModelState(), ModelState()
    ready.set_ready()
    ready.set_failed("too late")
    failed.set_failed("first")
    failed.set_failed("second")
    failed.set_ready()
    assert (ready.phase, ready.cause) == (Phase.READY, "")
    assert (failed.phase, failed.cause) == (Phase.FAILED, "first")


def test_wait_ends_with_the_load() -> None:
    state = ModelState()
    waiter = threading.Thread(target=state.wait, args=(60,))
    waiter.start()
    state.set_ready()
    waiter.join()
    assert state.phase is Phase.READY


def test_wait_times_out_during_the_load() -> None:
    state = ModelState()
    state.wait(0.001)
    assert state.phase is Phase.LOADING


async def test_cancelled_waiter_does_not_cancel_the_others() -> None:
    state = ModelState()
    cancelled = asyncio.wrap_future(state.finished)
    other = asyncio.wrap_future(state.finished)
    cancelled.cancel()
    await asyncio.sleep(0)
    assert not state.finished.done()
    await asyncio.to_thread(state.set_ready)
    await other
    state.require_ready()
