"""gunicorn's log in our format."""

import logging
from typing import Any

from gunicorn.glogging import Logger

from datarobot_drum.drum.logs import log_handler


class DrumLogger(Logger):  # type: ignore[misc]
    """Replaces gunicorn's own handlers by ours."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers = [log_handler()]
        self.error_log.propagate = False
        self.access_log.handlers = []
        self.access_log.setLevel(logging.CRITICAL)
