"""What a request waits for."""

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar

from datarobot_drum.drum.serving.core import ServingCore

T = TypeVar("T")


async def wait_for_model(core: ServingCore) -> None:
    """Return once the model is loaded.

    Raises:
        ModelNotReady: it still is not after the load timeout.
        ModelFailedToLoad: on an error server.
    """
    state = core.state
    if not state.finished.done():
        loaded = asyncio.wrap_future(state.finished)
        await asyncio.wait([loaded], timeout=core.load_timeout)
    state.require_ready()


class AtOnceOrLater(Awaitable[None], Generic[T]):
    """An awaitable that is begun at once: often its result is there without any waiting, as for a body that has come.

    If not ``is_there``, await this; then ``result`` is set.
    """

    result: T

    def __init__(self, awaitable: Awaitable[T]) -> None:
        self._steps = awaitable.__await__()
        self._awaited: Any = None
        self.is_there = False
        try:
            self._awaited = next(self._steps)
        except StopIteration as end:
            self._set(end.value)

    def _set(self, result: T) -> None:
        self.result = result
        self.is_there = True

    def __await__(self) -> Generator[Any, Any, None]:
        try:
            while True:
                try:
                    sent = yield self._awaited
                except BaseException as error:  # noqa: PERF203  # a cancellation belongs to what is awaited
                    self._awaited = self._steps.throw(error)
                else:
                    self._awaited = self._steps.send(sent)
        except StopIteration as end:
            self._set(end.value)
