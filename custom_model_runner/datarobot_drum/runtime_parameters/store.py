"""The parameter values of this process, and ``RuntimeParameters``, which model code uses."""

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from typing import Any

from datarobot_drum.runtime_parameters.definitions import Definition, parameter_error
from datarobot_drum.runtime_parameters.sources import ParameterSources, prefixed_names, read_prefixed

logger = logging.getLogger(__name__)

SERVER_PREFIX = "DRUM_"

_installed: Mapping[str, Any] | None = None


class RuntimeParameters:
    """The runtime parameters of the model.

    A server installs them once at start, checked against the definitions in model-metadata.yaml. Elsewhere (a
    notebook, a test) they are read from ``MLOPS_RUNTIME_PARAM_<NAME>`` on access.
    """

    @classmethod
    def get(cls, name: str, default: Any = None) -> Any:
        """Return the parameter's value; ``default`` if it is undefined or has none.

        The type is str for string and deployment, bool for boolean, int or float for numeric, dict for
        credential.
        """
        value = _find(name)
        return default if value is None else deepcopy(value)

    @classmethod
    def has(cls, name: str) -> bool:
        """Return True if the parameter has a value or a default."""
        return _find(name) is not None


def install(values: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Set the values of the process (None: read the environment on access) and return the previous ones."""
    global _installed
    former, _installed = _installed, values
    return former


def _find(name: str) -> Any:
    if _installed is not None:
        return _installed.get(name)
    prefixed = read_prefixed(os.environ, name)
    return None if prefixed is None else prefixed.payload


def collect_values(
    definitions: Sequence[Definition], sources: ParameterSources, server_names: Collection[str] = ()
) -> dict[str, Any]:
    """Return all parameters with a value: from the file, else a prefixed variable, else the definition's default.

    Server parameters need no definition, and neither do prefixed variables: the platform sets them.

    Raises:
        RuntimeParameterError: a value violates its definition, or is in the file without one.
    """
    defined = {definition.name: definition for definition in definitions}
    prefixed = {name: read_prefixed(sources.environ, name) for name in prefixed_names(sources.environ)}
    values = {name: found.payload for name, found in prefixed.items() if found is not None}
    for name, value in sources.file.items():
        _require_definition(name, defined, server_names)
        if value is not None:
            values[name] = value
    for definition in definitions:
        values[definition.name] = _resolve(definition, values.get(definition.name))
    return {name: value for name, value in values.items() if value is not None}


def _resolve(definition: Definition, given: Any) -> Any:
    value = definition.default if given is None else definition.check(given)
    definition.require(value)
    return value


def _require_definition(name: str, defined: Collection[str], server_names: Collection[str]) -> None:
    if name in defined or name in server_names:
        return
    if not name.startswith(SERVER_PREFIX):
        raise parameter_error(
            name, "is in the parameters file but not in runtimeParameterDefinitions of model-metadata.yaml"
        )
    logger.warning("%s in the parameters file is ignored: this server has no such parameter.", name)
