"""gunicorn's log in our format."""

import logging
import sys
from typing import Any

from gunicorn.glogging import Logger

from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.process.logs import log_handler


class DrumLogger(Logger):  # type: ignore[misc]
    """A gunicorn logger with our handler."""

    log_format = "text"

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers = [log_handler(self.log_format)]
        self.error_log.propagate = False
        self.access_log.handlers = []
        self.access_log.setLevel(logging.CRITICAL)


class BriefLogger(DrumLogger):
    """A logger that reports why an app could not start without a traceback."""

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, StartupError):
            self.error("%s", error)
        else:
            super().exception(msg, *args, **kwargs)
