"""Converts calls to an engine to httpx requests; imported only with an engine."""

import httpx

from datarobot_drum.drum.engine_predictors.client import engine_timeout
from datarobot_drum.drum.serving.proxy.requests import EngineCall
from datarobot_drum.drum.settings.engine import EngineSettings

NO_BODY = httpx.ByteStream(b"")


def to_httpx(
    call: EngineCall, engine: EngineSettings, body: httpx.SyncByteStream | httpx.AsyncByteStream
) -> httpx.Request:
    """Return the request, to be sent with ``stream=True``.

    It goes to the configured address of the engine. ``call.target`` is sent unchanged in the request line. No header
    is added.
    """
    extensions = {"target": call.target, "timeout": engine_timeout(engine).as_dict()}
    return httpx.Request(call.method, engine.url, headers=call.headers, stream=body, extensions=extensions)
