"""The end of a process, also when a prediction in it has none."""

import os
import sys
import threading
from typing import NoReturn

PREDICTION_THREADS = "drum-predict"
"""What the names of the prediction threads begin with."""

JOIN_SECONDS = 0.5


def end_process(code: int) -> NoReturn:
    """Exit with ``code``. Python would wait for every prediction thread, and one that hangs would keep the process."""
    predicting = [thread for thread in threading.enumerate() if thread.name.startswith(PREDICTION_THREADS)]
    for thread in predicting:
        thread.join(JOIN_SECONDS)
    if any(thread.is_alive() for thread in predicting):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
