"""Calls of direct access as httpx sends them; loaded only where there is an engine."""

import httpx

from datarobot_drum.drum.engine_predictors.client import engine_timeout
from datarobot_drum.drum.serving.proxy.requests import EngineCall
from datarobot_drum.drum.settings.engine import EngineSettings

NO_BODY = httpx.ByteStream(b"")


def to_httpx(
    call: EngineCall, engine: EngineSettings, body: httpx.SyncByteStream | httpx.AsyncByteStream
) -> httpx.Request:
    """The request, to be sent by a client with ``stream=True``.

    It goes to the engine's own address; ``target`` replaces what follows in the first line, byte for byte. No header is
    added to those of the call.
    """
    extensions = {"target": call.target, "timeout": engine_timeout(engine).as_dict()}
    return httpx.Request(call.method, engine.url, headers=call.headers, stream=body, extensions=extensions)
