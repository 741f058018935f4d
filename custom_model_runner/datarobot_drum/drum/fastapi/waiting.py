"""A request that meets a model which is still loading."""

import asyncio

from datarobot_drum.drum.serving.core import ServingCore


async def wait_for_model(core: ServingCore) -> None:
    """Return once the model is loaded.

    Raises:
        ModelNotReady: it still is not after the load timeout.
        ModelFailedToLoad: on an error server.
    """
    state = core.state
    if not state.settled.done():
        loaded = asyncio.wrap_future(state.settled)
        await asyncio.wait([loaded], timeout=core.load_timeout)
    state.require_ready()
