"""The exit codes of ``drum``, each declared once with its meaning; the reference is generated from them."""

import os
import signal
from dataclasses import dataclass

from datarobot_drum.drum.exceptions import TYPE_SCHEMA_EXIT_CODE, StartupError, UsageError
from datarobot_drum.drum.process.signals import SIGNAL_EXIT_BASE


@dataclass(frozen=True)
class ExitCode:
    """Exit codes of one meaning."""

    codes: tuple[int, ...]
    meaning: str


EXIT_CODES = (
    ExitCode(
        (os.EX_OK,),
        "success; `drum server`: stopped by a signal after the requests in flight had finished",
    ),
    ExitCode(
        (StartupError.exit_code,),
        "failure of the model, its input or its output; `drum server`: the start failed (port in use, broken model, "
        "invalid runtime parameter), requests were aborted by a second signal or the graceful timeout, or the watchdog "
        "ended the server",
    ),
    ExitCode((UsageError.exit_code,), "usage error: one sentence on standard error"),
    ExitCode(
        (TYPE_SCHEMA_EXIT_CODE,),
        "`typeSchema` is malformed (or, for a command that predicts, violated by its data); also gunicorn's own code "
        "for a worker that failed to start, so the log has the reason",
    ),
    ExitCode(
        (os.EX_OK, StartupError.exit_code, UsageError.exit_code, TYPE_SCHEMA_EXIT_CODE),
        "`drum config`, `drum server --check`: no error, or the code of the "
        "[first error](../commands/check-and-reload.md#drum-config)",
    ),
    ExitCode(
        (SIGNAL_EXIT_BASE + signal.SIGINT, SIGNAL_EXIT_BASE + signal.SIGTERM),
        "any command except `drum server`: interrupted by Ctrl-C, by SIGTERM",
    ),
    ExitCode((SIGNAL_EXIT_BASE + signal.SIGPIPE,), "`drum score`: the reader of standard output has closed it"),
)
