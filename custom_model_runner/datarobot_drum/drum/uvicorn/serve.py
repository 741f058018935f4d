"""``drum server`` with ``DRUM_SERVER_TYPE=fastapi``."""

import os

from datarobot_drum.drum.listening import bind
from datarobot_drum.drum.settings import Settings


def serve(settings: Settings) -> int:
    """Run until a signal ends the server; 0 after a clean stop.

    Raises:
        StartupError: the address or the model.
    """
    listener = bind(settings.host, settings.port)
    if settings.workers > 1 or settings.server.fastapi_max_requests:
        from datarobot_drum.drum.uvicorn.supervisor import Supervisor

        return Supervisor(settings, listener).run()
    from datarobot_drum.drum.uvicorn.server import run_server

    run_server(settings, listener)
    return os.EX_OK
