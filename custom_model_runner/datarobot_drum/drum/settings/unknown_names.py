"""Variables that are named like settings of the server, but are none: most likely misspelt."""

import re
from collections.abc import Collection, Iterator, Mapping

from datarobot_drum.drum.error_text import did_you_mean
from datarobot_drum.drum.settings.arguments import variable_names
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETER_NAMES
from datarobot_drum.runtime_parameters.sources import DEFINITIONS, PREFIX
from datarobot_drum.runtime_parameters.store import SERVER_PREFIX

_INTERNAL = frozenset({"DRUM_ARGUMENTS", "DRUM_MODEL_DIGESTS"})

_SERVICE_LINK = re.compile(
    r"(?P<service>\w+?)_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)
"""Names that Kubernetes gives to the variables of each service, such as one that is called drum."""


def unknown_server_names(environ: Mapping[str, str], defined: Collection[str] = ()) -> Iterator[str]:
    """Return a sentence for each ``DRUM_*`` variable, with or without prefix, that no setting reads.

    Args:
        defined: the parameters that the model itself defines.
    """
    plain = variable_names() | _INTERNAL | {"TARGET_NAME", "URL_PREFIX"}
    known = {*SERVER_PARAMETER_NAMES, *defined}
    for variable, name in _named_like(environ, SERVER_PREFIX):
        is_prefixed = variable != name
        if name in known or (not is_prefixed and name in plain) or _is_service_link(variable, environ):
            continue
        hint = did_you_mean(name, known if is_prefixed else known | plain - _INTERNAL, SERVER_PREFIX)
        yield f"{variable} has no effect: there is no such setting{hint}."


def undefined_parameters(environ: Mapping[str, str], defined: Collection[str]) -> Iterator[str]:
    """Return a sentence for each prefixed variable that is no server parameter and that the model does not define."""
    known = {*SERVER_PARAMETER_NAMES, *defined}
    for variable, name in _named_like(environ, ""):
        if variable == name or name in known or name.startswith(SERVER_PREFIX):
            continue
        hint = did_you_mean(name, known)
        yield f"{variable} is no server parameter and is not in {DEFINITIONS} of model-metadata.yaml{hint}."


def _named_like(environ: Mapping[str, str], prefix: str) -> Iterator[tuple[str, str]]:
    """Return variables with their names as parameters, if these start with ``prefix``."""
    names = ((variable, variable.removeprefix(PREFIX)) for variable in sorted(environ))
    return ((variable, name) for variable, name in names if name.startswith(prefix))


def _is_service_link(variable: str, environ: Mapping[str, str]) -> bool:
    found = _SERVICE_LINK.fullmatch(variable)
    return found is not None and f"{found['service']}_SERVICE_HOST" in environ
