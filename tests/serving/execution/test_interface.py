"""The interface of ExecutorWithBackpressure as other code is written against it."""

import asyncio
import inspect
import threading

import pytest

from datarobot_drum.drum.exceptions import ExecutorShutdown, ServerOverloaded
from datarobot_drum.drum.serving.errors import error_response
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure
from tests.cases import each_case
from tests.serving.execution.blocking_call import TIMEOUT, BlockingCall
from tests.serving.execution.executor_calls import busy


def test_parameters_have_documented_names_and_defaults() -> None:
    signature = inspect.signature(ExecutorWithBackpressure)
    parameters = [p for p in signature.parameters.values() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert {parameter.name: parameter.default for parameter in parameters} == {
        "max_workers": 4,
        "max_queue_depth": 100,
        "queue_timeout": 30.0,
        "thread_name_prefix": "drum-predict-",
    }


def multiply(one: int, *, by: int) -> int:
    return one * by


async def test_run_passes_arguments_and_returns_result() -> None:
    with ExecutorWithBackpressure(max_workers=1, thread_name_prefix="mine-") as executor:
        assert await executor.run(multiply, 6, by=7) == 42
        thread = await executor.run(threading.current_thread)
    assert thread.name.startswith("mine-")


@each_case("timeout_error", [TimeoutError, asyncio.TimeoutError], ids=["builtin", "asyncio"])
@each_case("queue_timeout", [0.0, 0.01])
async def test_rejected_run_raises_timeout_error(queue_timeout: float, timeout_error: type[Exception]) -> None:
    with ExecutorWithBackpressure(1, 10, queue_timeout) as executor, busy(executor):
        with pytest.raises(timeout_error) as raised:
            await executor.run(BlockingCall())
    assert not isinstance(raised.value, RuntimeError)


async def test_queued_run_raises_timeout_error_at_shutdown() -> None:
    executor = ExecutorWithBackpressure(1, 10, TIMEOUT)
    with busy(executor):
        queued = asyncio.ensure_future(executor.run(BlockingCall()))
        await asyncio.sleep(0)
        executor.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(TimeoutError):
            await queued
    executor.shutdown()


async def test_run_after_shutdown_raises_runtime_error() -> None:
    executor = ExecutorWithBackpressure(1, 10, TIMEOUT)
    executor.shutdown(wait=True, cancel_futures=False)
    with pytest.raises(RuntimeError) as raised:
        await executor.run(multiply, 1, by=1)
    assert not isinstance(raised.value, TimeoutError)


@each_case("error", [ServerOverloaded(), ExecutorShutdown()], ids=lambda error: type(error).__name__)
def test_client_gets_same_response_from_overload_and_shutdown(error: Exception) -> None:
    response = error_response(error)
    assert (response.status, response.headers["Retry-After"]) == (503, "5")
    assert response.content == (
        b'{"message":"Server overloaded. Please retry later.","error":"SERVICE_UNAVAILABLE","retry_after":5}'
    )


async def test_get_metrics_returns_metrics() -> None:
    with ExecutorWithBackpressure(2, 5) as executor:
        await executor.run(multiply, 1, by=1)
        metrics = await executor.get_metrics()
        assert metrics == executor.metrics()
    assert (metrics["executor_completed"], metrics["executor_queue_available"]) == (1, 7)


async def test_pool_has_at_most_max_workers_threads() -> None:
    with ExecutorWithBackpressure(2, thread_name_prefix="few-") as executor:
        threads = await asyncio.gather(*(executor.run(threading.get_ident) for _ in range(50)))
    assert len(set(threads)) <= 2
