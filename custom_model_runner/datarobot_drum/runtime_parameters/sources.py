"""The sources of parameter values: prefixed variables, the YAML file, plain variables."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.runtime_parameters.definitions import ParameterType, check_type, parameter_error
from datarobot_drum.runtime_parameters.masking import register_credentials_in
from datarobot_drum.runtime_parameters.origins import Found, Origin, Source

logger = logging.getLogger(__name__)

PREFIX = "MLOPS_RUNTIME_PARAM_"

DEFINITIONS = "runtimeParameterDefinitions"
"""The key of model-metadata.yaml that defines the model's parameters."""


@dataclass(frozen=True)
class PrefixedValue:
    """A decoded ``MLOPS_RUNTIME_PARAM_<NAME>``."""

    type: ParameterType
    payload: Any


@dataclass(frozen=True)
class ParameterSources:
    """The sources of one process. ``defaults`` are those of the model's own definitions."""

    environ: Mapping[str, str]
    file: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def find_server_value(self, names: Sequence[str]) -> Found | None:
        """Return a server parameter's value, name and origin; None if none of the names has a value.

        The first name with a value wins; a warning names the others. A model's own default counts only without any.
        """
        given = [found for name in names if (found := self._given(name)) is not None]
        for ignored in given[1:]:
            logger.warning("%s is ignored: %s, its new name, is set, too.", ignored.name, given[0].name)
        defaults = [Found(name, self.defaults.get(name), Origin(Source.METADATA, DEFINITIONS)) for name in names]
        return next((found for found in (*given, *defaults) if found.value not in (None, "")), None)

    def _given(self, name: str) -> Found | None:
        """Return the value of the prefixed variable, else of the file, else of the plain variable.

        An empty value counts as none: container platforms pass on variables that are not set as empty ones.
        """
        prefixed = read_prefixed(self.environ, name)
        candidates = (
            Found(name, None if prefixed is None else prefixed.payload, Origin(Source.VARIABLE, PREFIX + name)),
            Found(name, self.file.get(name), Origin(Source.PARAMETER_FILE, name)),
            Found(name, self.environ.get(name), Origin(Source.VARIABLE, name)),
        )
        return next((found for found in candidates if found.value not in (None, "")), None)


def prefixed_names(environ: Mapping[str, str]) -> Iterator[str]:
    """Return the names of all parameters that have a prefixed variable."""
    return (variable[len(PREFIX) :] for variable in environ if variable.startswith(PREFIX))


def read_prefixed(environ: Mapping[str, str], name: str) -> PrefixedValue | None:
    """Decode a prefixed variable; None if it is absent or blank.

    Raises:
        RuntimeParameterError: it is not a JSON object with ``type`` and ``payload``, or they do not match.
    """
    text = environ.get(PREFIX + name, "")
    if not text.strip():
        return None
    document = _decode(name, text)
    register_credentials_in(document.get("payload"))
    if "payload" not in document:
        raise parameter_error(name, f"has no payload in {PREFIX}{name}")
    return _typed(name, document)


def _decode(name: str, text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        # Without a cause: the decoder's error contains the whole text, secrets included.
        raise parameter_error(name, f"has malformed JSON in {PREFIX}{name}") from None
    if not isinstance(document, dict):
        raise parameter_error(name, f"needs a JSON object with type and payload in {PREFIX}{name}")
    return document


def _typed(name: str, document: Mapping[str, Any]) -> PrefixedValue:
    try:
        type_ = ParameterType(document.get("type"))
    except ValueError:
        known = ", ".join(kind.value for kind in ParameterType)
        raise parameter_error(name, f"has no known type in {PREFIX}{name}, which is one of {known}") from None
    payload = document["payload"]
    return PrefixedValue(type_, None if payload is None else check_type(name, type_, payload))


def read_parameter_file(path: Path) -> dict[str, Any]:
    """Return the values of a ``--runtime-params-file`` by name, and register its credentials for masking."""
    from datarobot_drum.runtime_parameters.yaml_documents import read_values

    values = read_values(path, RuntimeParameterError)
    for value in values.values():
        register_credentials_in(value)
    return values
