"""The parameter values of this process, and ``RuntimeParameters``, which model code uses."""

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from datarobot_drum.drum.error_text import did_you_mean
from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.runtime_parameters.definitions import Definition, parameter_error
from datarobot_drum.runtime_parameters.origins import Found, Origin, Source
from datarobot_drum.runtime_parameters.sources import (
    DEFINITIONS,
    PREFIX,
    ParameterSources,
    prefixed_names,
    read_prefixed,
)

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


@dataclass(frozen=True)
class Collected:
    """All parameters with a value, and the errors of those that are wrong, both by name."""

    found: Mapping[str, Found]
    errors: Mapping[str, RuntimeParameterError]

    @property
    def values(self) -> dict[str, Any]:
        return {name: found.value for name, found in self.found.items()}


def collect_values(
    definitions: Sequence[Definition], sources: ParameterSources, server_names: Collection[str] = ()
) -> dict[str, Any]:
    """Return the values of ``collect_parameters``.

    Raises:
        RuntimeParameterError: a value violates its definition, or is in the file without one.
    """
    collected = collect_parameters(definitions, sources, server_names)
    for error in collected.errors.values():
        raise error
    return collected.values


def collect_parameters(
    definitions: Sequence[Definition], sources: ParameterSources, server_names: Collection[str] = ()
) -> Collected:
    """Find the value of each parameter: from the file, else a prefixed variable, else the definition's default.

    Server parameters need no definition, and neither do prefixed variables: the platform sets them.
    """
    defined = {definition.name: definition for definition in definitions}
    found: dict[str, Found] = {}
    errors: dict[str, RuntimeParameterError] = {}
    for name in prefixed_names(sources.environ):
        with _kept(errors, name):
            prefixed = read_prefixed(sources.environ, name)
            if prefixed is not None and prefixed.payload is not None:
                found[name] = Found(name, prefixed.payload, Origin(Source.VARIABLE, PREFIX + name))
    for name, value in sources.file.items():
        with _kept(errors, name):
            _require_definition(name, defined, server_names)
            if value is not None:
                found[name] = Found(name, value, Origin(Source.PARAMETER_FILE, name))
    for definition in definitions:
        if definition.name in errors:
            continue
        with _kept(errors, definition.name):
            resolved = _resolve(definition, found.pop(definition.name, None))
            if resolved.value is not None:
                found[definition.name] = resolved
    return Collected(found, errors)


@contextmanager
def _kept(errors: dict[str, RuntimeParameterError], name: str) -> Iterator[None]:
    try:
        yield
    except RuntimeParameterError as error:
        errors.setdefault(name, error)


def _resolve(definition: Definition, given: Found | None) -> Found:
    default = Found(definition.name, definition.default, Origin(Source.METADATA, DEFINITIONS))
    found = default if given is None else given._replace(value=definition.check(given.value))
    definition.require(found.value)
    return found


def _require_definition(name: str, defined: Collection[str], server_names: Collection[str]) -> None:
    if name in defined or name in server_names:
        return
    if not name.startswith(SERVER_PREFIX):
        raise parameter_error(
            name,
            f"is in the parameters file but not in {DEFINITIONS} of model-metadata.yaml"
            f"{did_you_mean(name, (*defined, *server_names))}",
        )
    hint = did_you_mean(name, server_names, SERVER_PREFIX)
    logger.warning("%s in the parameters file is ignored: this server has no such parameter%s.", name, hint)
