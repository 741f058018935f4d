"""Event loops in hooks: ``asyncio.get_event_loop``, ``asyncio.run`` and a loop of ``load_model``, on all servers."""

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest

from datarobot_drum.drum.process.event_loops import keep_loop_of_load, provide_event_loops
from tests.process.hook_servers import Servers, call_function, serve_functions
from tests.processes import RunningServer

CODE = """
import asyncio
import sys

if sys.version_info >= (3, 14):
    asyncio.set_event_loop(asyncio.new_event_loop())


async def double(number):
    await asyncio.sleep(0)
    return 2 * number


imported = asyncio.run(double(4))


def load_model(code_dir):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(double(1))
    return loop


def use_loaded_loop(model):
    return model.run_until_complete(double(2))


def run(model):
    return asyncio.run(double(3)), imported


def get_loop(model):
    loop = asyncio.get_event_loop()
    return loop.run_until_complete(double(5)), loop.run_until_complete(double(6))


def is_running(model):
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return "not running"
"""


@pytest.fixture(scope="module")
def all_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with serve_functions(tmp_path_factory.mktemp("loops"), CODE) as servers:
        yield servers


without_policies = pytest.mark.skipif(sys.version_info >= (3, 14), reason="get_event_loop raises in every thread")


@pytest.mark.process
@pytest.mark.parametrize(
    ("function", "result"),
    [
        ("use_loaded_loop", "4"),
        ("run", "(6, 8)"),
        pytest.param("get_loop", "(10, 12)", marks=without_policies),
        ("is_running", "'not running'"),
    ],
)
def test_event_loops_work_in_hooks(server: RunningServer, function: str, result: str) -> None:
    assert [call_function(server, function) for _ in range(2)] == [result, result]


@pytest.fixture
def policy() -> Iterator[None]:
    """Restore the event loop policy of this process."""
    former = asyncio.get_event_loop_policy()
    provide_event_loops()
    yield
    asyncio.set_event_loop_policy(former)


def _loop_of_new_thread() -> asyncio.AbstractEventLoop:
    found: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.get_event_loop()))
    thread.start()
    thread.join()
    return found[0]


@without_policies
def test_a_thread_gets_the_loop_of_the_load_unless_another_thread_runs_it(policy: None) -> None:
    loaded = asyncio.new_event_loop()
    asyncio.set_event_loop(loaded)
    keep_loop_of_load()
    assert _loop_of_new_thread() is loaded

    async def get_loop_meanwhile() -> asyncio.AbstractEventLoop:
        return _loop_of_new_thread()

    other = loaded.run_until_complete(get_loop_meanwhile())
    loaded.close()
    third = _loop_of_new_thread()
    assert len({loaded, other, third}) == 3
    other.close()
    third.close()
    asyncio.set_event_loop(None)
