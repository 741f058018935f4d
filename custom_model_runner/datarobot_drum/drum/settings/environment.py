"""Variables of this process that are read or set apart from a start's settings, and those of its children."""

import os
import sys
from collections.abc import Mapping
from typing import Any

from datarobot_drum.drum.settings.address import normalize_prefix
from datarobot_drum.drum.settings.arguments import variable_names
from datarobot_drum.drum.settings.cpu_threads import plan_threads
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETER_NAMES, SERVER_PARAMETERS
from datarobot_drum.drum.settings.unknown_names import undefined_parameters, unknown_server_names
from datarobot_drum.runtime_parameters.masking import is_secret_name, mask_secrets
from datarobot_drum.runtime_parameters.sources import PREFIX, ParameterSources

DEVELOPMENT_NAMES = frozenset({"DRUM_CHECK", "DRUM_CHECK_JSON", "DRUM_RELOAD", "DRUM_OPEN"})
"""Variables that say what a command does, and that a server which it starts must not inherit."""

MODEL_DIGESTS_VARIABLE = "DRUM_MODEL_DIGESTS"
"""The digests of the model folder, for worker processes."""
_OWN_PREFIXES = ("DRUM_", "MLOPS_")

METRICS_DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus-client's own."""


def url_prefix() -> str:
    """Return the prefix of all routes, from the variable ``URL_PREFIX``."""
    return normalize_prefix(os.environ.get("URL_PREFIX", ""))


def parameter_from_environment(field_name: str) -> Any:
    """Return a server parameter as variables set it, else its default, without flags and the model's metadata."""
    declared = SERVER_PARAMETERS[field_name]
    found = ParameterSources(os.environ).find_server_value(declared.names)
    return declared.default if found is None else declared.parse(found.value, found.name)


def read_variable(name: str) -> str:
    """Return a variable of this process; empty without it."""
    return os.environ.get(name, "")


def metrics_directory() -> str | None:
    """Return the directory in which prometheus-client keeps files for each process; None if it keeps none."""
    return os.environ.get(METRICS_DIRECTORY_VARIABLE) or None


def export_metrics_directory(directory: str | None) -> None:
    """Set the directory in which prometheus-client keeps files, before model code imports it; None for no files."""
    if directory is None:
        os.environ.pop(METRICS_DIRECTORY_VARIABLE, None)
    else:
        os.environ[METRICS_DIRECTORY_VARIABLE] = directory


def exported_model_digests() -> str:
    """Return what the process that starts the workers has exported; empty without it."""
    return os.environ.get(MODEL_DIGESTS_VARIABLE, "")


def export_model_digests(text: str) -> None:
    """Set the digests of the model folder for the workers that this process starts."""
    os.environ[MODEL_DIGESTS_VARIABLE] = text


def unknown_variables(defined: frozenset[str]) -> tuple[str, ...]:
    """Return a sentence for each ``DRUM_*`` variable that no setting reads; ``defined`` are the model's parameters."""
    return tuple(unknown_server_names(os.environ, defined))


def undefined_variables(defined: frozenset[str]) -> tuple[str, ...]:
    """Return a sentence for each prefixed variable that neither this server nor the model defines."""
    return tuple(undefined_parameters(os.environ, defined))


def has_browser() -> bool:
    """Return False if there is no screen to show a browser on, and no browser that a variable names."""
    is_desktop = sys.platform in ("darwin", "win32")
    return is_desktop or any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))


def is_completing() -> bool:
    """Return True if a shell has started this process to complete words, as argcomplete defines."""
    return "_ARGCOMPLETE" in os.environ


def allows_colour() -> bool:
    """Return False if a variable says that the terminal shows no colours."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def own_variables() -> dict[str, str]:
    """Return the variables of this process that servers and models read, without those that are secret."""
    names = SERVER_PARAMETER_NAMES | variable_names() | {"URL_PREFIX"}
    own = {name: value for name, value in os.environ.items() if name in names or name.startswith(_OWN_PREFIXES)}
    return {name: value for name, value in own.items() if not is_secret_name(name) and mask_secrets(value) == value}


def export_thread_plan(workers: int) -> None:
    """Divide the CPUs among so many processes, before numeric libraries are imported in this one."""
    os.environ.update(plan_threads(os.environ, workers).variables)


def forget_variable(name: str) -> None:
    """Remove a variable of this process, so that none of its children obeys it a second time."""
    os.environ.pop(name, None)


def environment_with(values: Mapping[str, str], without: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return the environment of this process with ``values``, and without the parameters of these names."""
    kept = {name: value for name, value in os.environ.items() if name.removeprefix(PREFIX) not in without}
    return {**kept, **values}
