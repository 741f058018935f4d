"""``drum server`` with ``DRUM_SERVER_TYPE=fastapi``."""

from datarobot_drum.drum.listening import bind
from datarobot_drum.drum.settings import Settings
from datarobot_drum.drum.watchdog.owner import Watchdog


def serve(settings: Settings) -> int:
    """Run until a signal ends the server; 0 after a clean stop.

    Raises:
        StartupError: the address or the model.
    """
    listener = bind(settings.host, settings.port)
    with Watchdog(settings).start(listener.getsockname()[1]) as watchdog:
        if settings.workers > 1 or settings.server.fastapi_max_requests:
            from datarobot_drum.drum.uvicorn.supervisor import Supervisor

            return watchdog.exit_code(Supervisor(settings, listener, on_stop=watchdog.stand_down).run())
        from datarobot_drum.drum.uvicorn.server import run_server

        return watchdog.exit_code(run_server(settings, listener, on_drain=watchdog.stand_down))
