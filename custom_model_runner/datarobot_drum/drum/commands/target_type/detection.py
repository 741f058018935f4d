"""Complete the arguments of a command with the target type that the model shows."""

import json
import logging
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

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
    found = _inspect(with_absolute_paths(arguments))
    target_type = found.get("target_type")
    if target_type is None:
        return replace(arguments, target_hint=found.get("reason", ""))
    origins = {**arguments.origins, "target_type": Origin(Source.MODEL, found["model"])}
    return replace(arguments, target_type=target_type, origins=origins)


def _inspect(arguments: Arguments) -> dict[str, str]:
    variables = {ARGUMENTS_VARIABLE: arguments.to_json()}
    result: dict[str, str] = {}
    with suppress(subprocess.TimeoutExpired, ValueError):
        process = subprocess.run(
            [sys.executable, "-m", _INSPECTION],
            env=environment_with(variables, without=DEVELOPMENT_NAMES),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        result = json.loads(process.stdout)
    return result
