"""What a hosting platform asks of a container, by its environment variables and folders.

A flag and a variable of ours win over a platform's variable, and that wins over a default. Each platform is one
function that reads the environment; of several platforms the more special one comes first.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.address import ALL_INTERFACES, normalize_prefix
from datarobot_drum.runtime_parameters.origins import Found, Origin, Source

logger = logging.getLogger(__name__)

DEFAULT_PORT = "8080"
"""The port of ``drum serve`` where nothing names one; that of SageMaker, KServe, Vertex AI and Cloud Run."""

KSERVE_FOLDER = Path("/mnt/models")
_MODEL_METADATA_FOLDER = "code"
_LEVELS = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"), (10, "debug"))
_SWITCHED_ON = frozenset({"1", "true", "yes", "on"})


_Find = Callable[[Sequence[str]], Found | None]
"""Returns the value of a server parameter, given by its names."""


class Given(NamedTuple):
    """A value and the variable, or the folder, that it comes from."""

    source: str
    value: str


@dataclass(frozen=True)
class Routes:
    """Paths, without the URL prefix, that a platform requests; empty for none."""

    health: str = ""
    predict: str = ""


@dataclass(frozen=True)
class Platform:
    """The values of one recognised platform.

    ``arguments`` are by their field name, ``parameters`` by the name of the server parameter. ``folder`` is the code
    dir of ``drum serve``. ``warnings`` are about variables without effect.
    """

    name: str
    arguments: Mapping[str, Given] = field(default_factory=dict)
    parameters: Mapping[str, Given] = field(default_factory=dict)
    folder: Path | None = None
    routes: Routes = field(default_factory=Routes)
    warnings: tuple[str, ...] = ()
    is_active: bool = True
    """False if only a folder shows the platform: most machines have no such folder, some have it by chance."""


@dataclass(frozen=True)
class PlatformSettings:
    """The routes that platforms request, and lines for the log."""

    routes: Routes = field(default_factory=Routes)
    effects: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find_platforms(environ: Mapping[str, str]) -> tuple[Platform, ...]:
    """Return the recognised platforms, the more special ones first."""
    found = (recognise({name: value for name, value in environ.items() if value.strip()}) for recognise in _PLATFORMS)
    return tuple(platform for platform in found if platform is not None)


def platform_arguments(given: Mapping[str, Any], environ: Mapping[str, str], *, is_serve: bool) -> dict[str, Given]:
    """Return the arguments that platforms add to those of flags and variables; a default has no source.

    Args:
        given: the latter, by field name; none of them changes.
        is_serve: the command is ``drum serve``, which has a default address and looks for the folder of the model.

    Raises:
        UsageError: a value that is needed is invalid.
    """
    added: dict[str, Given] = {}
    platforms = find_platforms(environ)
    for platform in platforms:
        for name, value in platform.arguments.items():
            if name not in given and name not in added and not (name == "logging_level" and given.get("verbose")):
                added[name] = Given(value.source, _CONVERTERS[name](*value))
    if is_serve and "address" not in given:
        added.setdefault("address", Given("", f"{ALL_INTERFACES}:{DEFAULT_PORT}"))
    if is_serve and "code_dir" not in given and "code_dir" not in added:
        folders = (Given(platform.name, str(platform.folder)) for platform in platforms if platform.folder)
        added |= next(({"code_dir": given} for given in folders), {})
    return added


class PlatformParameters:
    """The server parameters that platforms give; ``used`` are those that no source of ours has, by name."""

    def __init__(self, platforms: Sequence[Platform]) -> None:
        self.platforms = platforms
        self.used: dict[str, Given] = {}

    def after(self, find: _Find) -> _Find:
        """Return a function that asks the platforms for what ``find`` does not find."""
        return lambda names: find(names) or self._find(names)

    def _find(self, names: Sequence[str]) -> Found | None:
        name = names[0]
        found = next((platform.parameters[name] for platform in self.platforms if name in platform.parameters), None)
        if found is None:
            return None
        self.used[name] = found
        return Found(found.source, found.value, Origin(Source.PLATFORM, found.source))


def platform_settings(arguments: Mapping[str, Any], parameters: PlatformParameters) -> PlatformSettings:
    """Return the routes, and one line per platform about what it has set.

    Args:
        arguments: the final arguments by field name: a value of a platform that a flag replaced has no effect.
    """
    platforms = parameters.platforms
    routes = [platform.routes for platform in platforms]
    return PlatformSettings(
        routes=Routes(
            health=next((route.health for route in routes if route.health), ""),
            predict=next((route.predict for route in routes if route.predict), ""),
        ),
        effects=tuple(
            _describe(platform, arguments, parameters.used)
            for platform in platforms
            if platform.is_active or _holds_model(platform, arguments)
        ),
        warnings=tuple(warning for platform in platforms for warning in platform.warnings),
    )


def metadata_folder(code_dir: Path, environ: Mapping[str, str], file_name: str) -> Path:
    """Return the folder of the model's metadata: SageMaker's convention is code in ``code/`` of the model folder."""
    below = code_dir / _MODEL_METADATA_FOLDER
    is_sagemaker = code_dir == _sagemaker_folder(environ)
    return below if is_sagemaker and not (code_dir / file_name).exists() and (below / file_name).exists() else code_dir


def _holds_model(platform: Platform, arguments: Mapping[str, Any]) -> bool:
    return platform.folder is not None and arguments.get("code_dir") == str(platform.folder)


def _describe(platform: Platform, arguments: Mapping[str, Any], parameters: Mapping[str, Given]) -> str:
    parts = list(_effects_of(platform, arguments, parameters))
    return f"Platform {platform.name}: {'; '.join(parts) or 'other settings win over its values'}."


def _effects_of(platform: Platform, arguments: Mapping[str, Any], parameters: Mapping[str, Given]) -> Iterator[str]:
    for name, (source, value) in platform.arguments.items():
        if arguments.get(name) == _final_value(name, source, value):
            yield f"{source} sets --{name.replace('_', '-')} {arguments[name]}"
    if _holds_model(platform, arguments):
        yield f"the model is in {platform.folder}"
    for name, given in platform.parameters.items():
        if parameters.get(name) == given:
            yield f"{given.source} sets {name} to {given.value}"
    if platform.routes.health:
        yield f"GET {platform.routes.health} is a health route"
    if platform.routes.predict:
        yield f"POST {platform.routes.predict} is a route of predictions"


def _final_value(name: str, source: str, value: str) -> str | None:
    try:
        return _CONVERTERS[name](source, value)
    except UsageError:
        return None


# Conversions


def _address(source: str, text: str) -> str:
    port = text.strip()
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise UsageError(f"The variable {source} must be a port, not {text!r}: or give --address.")
    return f"{ALL_INTERFACES}:{port}"


def _logging_level(source: str, text: str) -> str:
    """Return the name of a level, from its number in Python's logging or its name."""
    level = text.strip().lower()
    names = [name for _, name in _LEVELS]
    if level.isascii() and level.isdigit():
        return next((name for number, name in _LEVELS if int(level) >= number), "debug")
    if level not in names:
        raise UsageError(f"The variable {source} must be a number, or one of {', '.join(names)}, not {text!r}.")
    return level


def _local_folder(source: str, uri: str) -> str:
    scheme, separator, path = uri.strip().partition("://")
    if not separator:
        return os.path.abspath(uri.strip())
    if scheme == "file" and path.startswith("/"):
        return path
    copy = f"gcloud storage cp --recursive '{uri.strip().rstrip('/')}/*' /opt/model/"
    raise UsageError(
        f"{source} is {uri.strip()}: drum reads local folders only. Copy the model before the start ({copy}) and set "
        "CODE_DIR=/opt/model, or put the model into the image and set CODE_DIR."
    )


_CONVERTERS: Mapping[str, Callable[[str, str], str]] = {
    "address": _address,
    "logging_level": _logging_level,
    "code_dir": _local_folder,
}


# Platforms


def _given(environ: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Given]:
    """Return the values of variables, by what they stand for."""
    return {target: Given(name, environ[name]) for target, name in names.items() if name in environ}


def _vertex(environ: Mapping[str, str]) -> Platform | None:
    """Vertex AI sets ``AIP_*`` (custom container requirements for inference)."""
    if not any(name in environ for name in ("AIP_HTTP_PORT", "AIP_HEALTH_ROUTE", "AIP_PREDICT_ROUTE")):
        return None
    return Platform(
        "Vertex AI",
        arguments=_given(environ, {"address": "AIP_HTTP_PORT", "code_dir": "AIP_STORAGE_URI"}),
        routes=Routes(_route(environ, "AIP_HEALTH_ROUTE"), _route(environ, "AIP_PREDICT_ROUTE")),
    )


def _route(environ: Mapping[str, str], name: str) -> str:
    try:
        path = normalize_prefix(environ.get(name, ""))
    except UsageError:
        raise UsageError(f"{name} {environ[name]!r} is not a path of plain segments such as /predict.") from None
    return path or ("/" if name in environ else "")


_SAGEMAKER_VARIABLES = (
    "SAGEMAKER_BASE_DIR",
    "SAGEMAKER_BIND_TO_PORT",
    "SAGEMAKER_SAFE_PORT_RANGE",
    "SAGEMAKER_PROGRAM",
    "SAGEMAKER_SUBMIT_DIRECTORY",
    "SAGEMAKER_MODEL_SERVER_WORKERS",
    "SAGEMAKER_MODEL_SERVER_TIMEOUT",
    "SAGEMAKER_CONTAINER_LOG_LEVEL",
    "SAGEMAKER_MAX_PAYLOAD_IN_MB",
    "SAGEMAKER_MULTI_MODEL",
    "SAGEMAKER_BATCH",
)


def _sagemaker_folder(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml") / "model"


def _sagemaker(environ: Mapping[str, str]) -> Platform | None:
    """SageMaker AI runs ``docker run IMAGE serve`` with the model in ``/opt/ml/model``."""
    folder = _sagemaker_folder(environ)
    is_named = any(name in environ for name in _SAGEMAKER_VARIABLES)
    if not (is_named or folder.is_dir()):
        return None
    if environ.get("SAGEMAKER_MULTI_MODEL", "").strip().lower() in _SWITCHED_ON:
        raise UsageError("SAGEMAKER_MULTI_MODEL is on: drum serves one model; create an endpoint with a single model.")
    arguments = {"address": "SAGEMAKER_BIND_TO_PORT", "logging_level": "SAGEMAKER_CONTAINER_LOG_LEVEL"}
    return Platform(
        "SageMaker",
        arguments=_given(environ, arguments),
        parameters=_sagemaker_parameters(environ) if is_named else {},
        folder=folder if folder.is_dir() else None,
        warnings=tuple(_sagemaker_warnings(environ, folder)),
        is_active=is_named,
    )


def _sagemaker_parameters(environ: Mapping[str, str]) -> dict[str, Given]:
    names = {
        "DRUM_CLIENT_REQUEST_TIMEOUT": "SAGEMAKER_MODEL_SERVER_TIMEOUT",
        "DRUM_MAX_UPLOAD_SIZE": "MAX_CONTENT_LENGTH",
    }
    if "UVICORN_WORKERS" not in environ:
        names["CUSTOM_MODEL_WORKERS"] = "SAGEMAKER_MODEL_SERVER_WORKERS"
    parameters = _given(environ, names)
    if "SAGEMAKER_MAX_PAYLOAD_IN_MB" in environ:
        megabytes = f"{environ['SAGEMAKER_MAX_PAYLOAD_IN_MB'].strip()}MB"
        parameters["DRUM_MAX_UPLOAD_SIZE"] = Given("SAGEMAKER_MAX_PAYLOAD_IN_MB", megabytes)
    return parameters


def _sagemaker_warnings(environ: Mapping[str, str], folder: Path) -> Iterator[str]:
    program = environ.get("SAGEMAKER_PROGRAM", "custom.py")
    if Path(program).name != "custom.py":
        yield f"SAGEMAKER_PROGRAM={program} has no effect: the hooks of a model are in custom.py."
    submitted = environ.get("SAGEMAKER_SUBMIT_DIRECTORY", str(folder))
    if not Path(submitted).is_relative_to(folder):
        yield f"SAGEMAKER_SUBMIT_DIRECTORY={submitted} has no effect: put custom.py into {folder / 'code'}."
    low, _, high = environ.get("SAGEMAKER_SAFE_PORT_RANGE", "").strip().partition("-")
    port = environ.get("DRUM_MANAGEMENT_PORT", "").strip()
    if low.isdigit() and high.isdigit() and port.isdigit() and not (int(low) <= int(port) <= int(high)):
        yield f"DRUM_MANAGEMENT_PORT={port} is outside SAGEMAKER_SAFE_PORT_RANGE={low}-{high}: choose another."


def _kserve(environ: Mapping[str, str]) -> Platform | None:
    """KServe's storage initializer puts the model into ``/mnt/models``; the arguments come from the manifest."""
    return Platform("KServe", folder=KSERVE_FOLDER, is_active=False) if KSERVE_FOLDER.is_dir() else None


def _port(environ: Mapping[str, str]) -> Platform | None:
    """Cloud Run, Knative and Heroku set ``PORT``, as do many other platforms."""
    if "PORT" not in environ:
        return None
    names = {"K_SERVICE": "Cloud Run or Knative", "DYNO": "Heroku"}
    name = next((platform for variable, platform in names.items() if variable in environ), "unknown")
    return Platform(name, arguments=_given(environ, {"address": "PORT"}))


_PLATFORMS = (_vertex, _sagemaker, _kserve, _port)
