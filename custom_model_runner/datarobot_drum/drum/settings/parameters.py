"""The parameters of a server and of its model, read from all their sources, each with its origin."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.drum.settings.access import AccessParameters
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.declaration import resolve
from datarobot_drum.drum.settings.engine import is_host
from datarobot_drum.drum.settings.model_metadata import ModelMetadata
from datarobot_drum.drum.settings.platforms import PlatformParameters
from datarobot_drum.drum.settings.server_parameters import (
    SERVER_PARAMETER_NAMES,
    SERVER_PARAMETERS,
    ServerParameters,
    fill_defaults,
)
from datarobot_drum.drum.settings.worker_count import count_workers
from datarobot_drum.runtime_parameters.definitions import Definition, parameter_error, parse_definitions
from datarobot_drum.runtime_parameters.origins import Found, Origin
from datarobot_drum.runtime_parameters.sources import ParameterSources, read_parameter_file
from datarobot_drum.runtime_parameters.store import Collected, collect_parameters


@dataclass(frozen=True)
class ReadParameters:
    """All parameters. The errors of access are apart: with one of these not even the error server starts.

    ``model_errors`` are those of the model's own parameters.
    """

    server: ServerParameters
    own: Mapping[str, Found]
    defined: frozenset[str]
    origins: Mapping[str, Origin]
    access_errors: tuple[RuntimeParameterError, ...]
    errors: tuple[RuntimeParameterError, ...]
    model_errors: tuple[RuntimeParameterError, ...]

    @property
    def values(self) -> dict[str, Any]:
        """The values that model code reads, by name."""
        return {name: found.value for name, found in self.own.items()}


@dataclass(frozen=True)
class ParameterFiles:
    """The definitions of model-metadata.yaml, the values of ``--runtime-params-file``, and the errors of both.

    ``definitions`` are None if they are malformed.
    """

    definitions: tuple[Definition, ...] | None
    values: Mapping[str, Any]
    errors: tuple[RuntimeParameterError, ...]

    def sources(self, environ: Mapping[str, str]) -> ParameterSources:
        """Return all sources of parameters."""
        defaults = {entry.name: entry.default for entry in self.definitions or ()}
        return ParameterSources(environ, self.values, defaults)

    def collect(self, environ: Mapping[str, str]) -> Collected:
        """Return the model's own parameters; none of the file if it is not known what is defined."""
        if self.definitions is None:
            return collect_parameters((), ParameterSources(environ))
        return collect_parameters(self.definitions, self.sources(environ), SERVER_PARAMETER_NAMES)


def read_parameters(
    arguments: Arguments,
    metadata: ModelMetadata,
    platforms: PlatformParameters,
    environ: Mapping[str, str],
    *,
    server_type: str | None,
    logging_level: str,
) -> ReadParameters:
    """Read all parameters; the errors are returned, not raised.

    Args:
        server_type: overrides ``DRUM_SERVER_TYPE``.
    """
    files = read_files(arguments, metadata)
    sources = files.sources(environ)
    given = resolve(ServerParameters, platforms.after(sources.find_server_value))
    errors = list(given.errors)
    server_type = server_type or _server_flag(arguments)
    values = {**given.values, "server_type": server_type} if server_type else given.values
    final_type = values.get("server_type", SERVER_PARAMETERS["server_type"].default)
    workers, origin = count_workers(arguments, given, final_type, errors)
    server = fill_defaults(values, workers=workers, logging_level=logging_level)
    errors += _contradictions(server)
    own = files.collect(environ)
    of_model = [error for name, error in own.errors.items() if name not in SERVER_PARAMETER_NAMES]
    return ReadParameters(
        server,
        own.found,
        frozenset(entry.name for entry in files.definitions or ()),
        {**given.origins, SERVER_PARAMETERS["custom_model_workers"].name: origin, **_origin_of_server(arguments)},
        access_errors=resolve(AccessParameters, sources.find_server_value).errors,
        errors=(*files.errors, *errors, *own.errors.values()),
        model_errors=(*files.errors, *of_model),
    )


def read_files(arguments: Arguments, metadata: ModelMetadata) -> ParameterFiles:
    """Read the definitions and the file of values."""
    definitions: tuple[Definition, ...] | None = None
    values: dict[str, Any] = {}
    errors: list[RuntimeParameterError] = []
    try:
        parsed = parse_definitions(metadata.parameter_definitions, errors)
        definitions = None if errors else parsed
    except RuntimeParameterError as error:
        errors.append(error)
    try:
        if arguments.runtime_params_file:
            values = read_parameter_file(Path(arguments.runtime_params_file))
    except RuntimeParameterError as error:
        errors.append(error)
    return ParameterFiles(definitions, values, tuple(errors))


def _server_flag(arguments: Arguments) -> str | None:
    """Return the server type of ``--server``, by its plain name."""
    aliases = SERVER_PARAMETERS["server_type"].choice_aliases
    return aliases.get(arguments.server, arguments.server) if arguments.server else None


def _origin_of_server(arguments: Arguments) -> dict[str, Origin]:
    return {SERVER_PARAMETERS["server_type"].name: arguments.origin_of("server")} if arguments.server else {}


def _contradictions(server: ServerParameters) -> list[RuntimeParameterError]:
    errors = []
    if server.spool_directory and not os.access(server.spool_directory, os.W_OK | os.X_OK):
        errors.append(parameter_error("DRUM_SPOOL_DIRECTORY", "must be a folder that can be written to"))
    if server.grpc_port and server.server_type != "fastapi":
        errors.append(parameter_error("DRUM_GRPC_PORT", "needs DRUM_SERVER_TYPE=fastapi, which alone serves gRPC"))
    if not is_host(server.engine_host):
        errors.append(parameter_error("DRUM_ENGINE_HOST", "must be a host name or an IP address"))
    return errors
