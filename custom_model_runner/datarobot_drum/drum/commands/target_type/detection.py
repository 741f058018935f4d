"""Complete the arguments of a command with the target type that the model shows."""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace

from datarobot_drum.drum.process.signals import cleanup_on_signals
from datarobot_drum.drum.settings.arguments import Arguments, with_absolute_paths
from datarobot_drum.drum.settings.build import ARGUMENTS_VARIABLE, needs_target_type
from datarobot_drum.drum.settings.environment import DEVELOPMENT_NAMES, environment_with
from datarobot_drum.runtime_parameters.origins import Origin, Source

logger = logging.getLogger("drum")

_INSPECTION = "datarobot_drum.drum.commands.target_type.inspection"
_TIMEOUT_SECONDS = 600


def with_target_type(arguments: Arguments) -> Arguments:
    """Return the arguments with the target type of the model, or with a hint why it is not known."""
    if not needs_target_type(arguments):
        return arguments
    logger.info("The target type is not given: reading it from the model.")
    try:
        found = _inspect(with_absolute_paths(arguments))
    except OSError as error:  # no temporary folder, no further process
        found = {"reason": f"it cannot be loaded in a process of its own: {error.strerror}"}
    target_type = found.get("target_type")
    if target_type is None:
        return replace(arguments, target_hint=found.get("reason", ""))
    origins = {**arguments.origins, "target_type": Origin(Source.MODEL, found["model"])}
    return replace(arguments, target_type=target_type, origins=origins)


def _inspect(arguments: Arguments) -> dict[str, str]:
    """Return the result of the inspection; its process group ends with it, whatever the model has started."""
    environment = environment_with({ARGUMENTS_VARIABLE: arguments.to_json()}, without=DEVELOPMENT_NAMES)
    result: dict[str, str] = {}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", _INSPECTION],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with cleanup_on_signals(lambda: _kill(process)):
            try:
                process.wait(_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                result = {"reason": f"it did not load within {_TIMEOUT_SECONDS} s"}
            finally:
                _kill(process)
                process.wait()
        output.seek(0)
        with suppress(ValueError):
            result = json.loads(output.read())
    return result


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
