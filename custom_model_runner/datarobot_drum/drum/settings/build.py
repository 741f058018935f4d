"""Settings of a start as frozen values, built once from arguments and environment.

The first source with a value wins: flag, variable, runtime parameter, model-metadata.yaml, platform, default.
"""

import dataclasses
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import StartupError, UsageError
from datarobot_drum.drum.settings.access import OPEN, AccessSettings, read_access
from datarobot_drum.drum.settings.address import DEFAULT_ADDRESS, parse_address
from datarobot_drum.drum.settings.arguments import (
    Arguments,
    arguments_of,
    merge_environment,
    secret_variables,
    with_absolute_paths,
)
from datarobot_drum.drum.settings.build_record import BuildRecord
from datarobot_drum.drum.settings.class_labels import ClassLabels, find_class_labels
from datarobot_drum.drum.settings.compilation import DEFAULT_COMPILATION, CompileOptions, CompileParameters, options_of
from datarobot_drum.drum.settings.cpu_threads import ThreadPlan, plan_threads
from datarobot_drum.drum.settings.declaration import SERVER, resolve
from datarobot_drum.drum.settings.deployment_config import DeploymentConfig, read_deployment_config
from datarobot_drum.drum.settings.engine import EngineSettings, find_engine
from datarobot_drum.drum.settings.environment import url_prefix
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits, command_limits, server_limits
from datarobot_drum.drum.settings.load_policy import LoadParameters, PicklePolicy
from datarobot_drum.drum.settings.model_metadata import (
    FILE_NAME,
    MODELS,
    ModelMetadata,
    read_model_metadata,
    read_target_names,
)
from datarobot_drum.drum.settings.parameters import ReadParameters, read_files, read_parameters
from datarobot_drum.drum.settings.platforms import (
    PlatformParameters,
    PlatformSettings,
    find_platforms,
    metadata_folder,
    platform_settings,
)
from datarobot_drum.drum.settings.routed_models import (
    arguments_for,
    choose_default,
    choose_name,
    naming_model,
    read_entries,
)
from datarobot_drum.drum.settings.server_parameters import ServerParameters
from datarobot_drum.drum.settings.target_choice import choose_target_type
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.settings.tracing import TracingSettings, read_tracing
from datarobot_drum.runtime_parameters.masking import (
    register_secret,
    register_secret_variables,
    register_url_credentials,
)
from datarobot_drum.runtime_parameters.origins import Found, Origin, Source
from datarobot_drum.runtime_parameters.sources import PREFIX
from datarobot_drum.runtime_parameters.store import install
from datarobot_drum.runtime_parameters.user_secrets import read_user_secrets

logger = logging.getLogger(__name__)

ARGUMENTS_VARIABLE = "DRUM_ARGUMENTS"
DEFAULT_LOGGING_LEVEL = "info"

VALUE_COLUMN = "Predictions"
"""The name of a single value column."""

DEFAULT_PROMPT_COLUMN = "promptText"
DEFAULT_SERVED_NAME, DEFAULT_SERVED_VERSION = "model", "1"

_METADATA_KEYS = ("name", "version", "targetNames", "promptColumn")


@dataclass(frozen=True)
class ModelSettings:
    """The model: code dir, target, labels, and its inference engine, if any.

    Binary labels are (negative, positive); without labels, those of the loaded model hold. ``deployment`` selects
    responses in the format of DataRobot's prediction server.
    """

    code_dir: Path
    target_type: TargetType
    target_name: str | None
    class_labels: tuple[str, ...]
    positive_class_label: str | None
    negative_class_label: str | None
    language: str | None
    metadata: Mapping[str, Any] | None
    deployment: DeploymentConfig | None = None
    engine: EngineSettings | None = None
    user_secrets: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    """By name, for hooks that take them."""
    strict_type_schema: bool = True
    """True rejects data that violate ``typeSchema``; False logs a warning."""
    limits: InputLimits = UNLIMITED
    target_names: tuple[str, ...] = ()
    """Names of several regression targets; empty for one target, or to number them."""
    prompt_column: str = DEFAULT_PROMPT_COLUMN
    """The column of a chat prompt for a ``score`` hook."""
    pickle_policy: PicklePolicy = PicklePolicy.ALLOW
    served_name: str = DEFAULT_SERVED_NAME
    """The name by which clients of the Open Inference Protocol request the model, and its version."""
    served_version: str = DEFAULT_SERVED_VERSION
    compilation: CompileOptions = DEFAULT_COMPILATION
    models: "tuple[ModelSettings, ...]" = ()
    """The models of a routed set, each by its ``served_name``; empty for a folder with one model."""
    default_model: str | None = None
    """The model of a routed set for requests that name none; None if they must name one."""

    def with_values(self, **values: Any) -> "ModelSettings":
        """Return the settings with these values, also in those of the models of a routed set."""
        models = tuple(model.with_values(**values) for model in self.models)
        return dataclasses.replace(self, models=models, **values)

    @property
    def value_name(self) -> str:
        """``Predictions``, or the target's name for target types that use it."""
        return (self.target_name if self.target_type.has_target_column else None) or VALUE_COLUMN

    def with_class_labels(self, labels: tuple[str, ...]) -> "ModelSettings":
        """Return the settings with these labels; of two labels of a binary model the negative one comes first."""
        negative, positive = labels if self.target_type is TargetType.BINARY else (None, None)
        return dataclasses.replace(
            self, class_labels=labels, positive_class_label=positive, negative_class_label=negative
        )


@dataclass(frozen=True)
class Settings:
    """All settings of a server.

    ``parameter_error`` is set only with the error server: the server starts without what is wrong, and loading
    the model must fail with this error. ``arguments`` are passed to worker processes.
    """

    model: ModelSettings
    host: str
    port: int
    url_prefix: str
    workers: int
    server: ServerParameters
    logging_level: str
    with_error_server: bool
    show_perf: bool
    show_stacktrace: bool
    verbose: bool
    production: bool
    arguments: Mapping[str, Any] = dataclasses.field(repr=False)
    parameter_error: StartupError | None = None
    tracing: TracingSettings = dataclasses.field(default_factory=TracingSettings)
    thread_plan: ThreadPlan | None = None
    """Set for the FastAPI server only; the other servers leave numeric libraries at their defaults."""
    platform: PlatformSettings = dataclasses.field(default_factory=PlatformSettings)
    access: AccessSettings = OPEN
    origins: Mapping[str, Origin] = dataclasses.field(default_factory=dict, repr=False)
    """Where values come from, by flag, variable or key of model-metadata.yaml; a default has no entry."""
    model_parameters: Mapping[str, Found] = dataclasses.field(default_factory=dict, repr=False)
    """What ``RuntimeParameters`` returns, credentials included."""
    defined_parameters: frozenset[str] = frozenset()
    """The names in ``runtimeParameterDefinitions``."""


def complete_arguments(command: str, flags: Mapping[str, Any]) -> Arguments:
    """Return the arguments of a command line, completed from the environment variables of this process."""
    return merge_environment(command, flags, os.environ)


def arguments_from_environment() -> Arguments:
    """Return the arguments that a parent has exported, else those of variables."""
    text = os.environ.get(ARGUMENTS_VARIABLE)
    return Arguments.from_json(text) if text else complete_arguments(SERVER, {})


def settings_from_environment(server_type: str | None = None) -> Settings:
    """Build the settings of a worker process, or of an app that an external command line starts.

    ``server_type`` overrides ``DRUM_SERVER_TYPE``: the caller knows which server runs.
    """
    return build_settings(arguments_from_environment(), server_type)


def settings_from_values(values: Mapping[str, Any], server_type: str | None = None) -> Settings:
    """Return the settings for argument names and values; variables and defaults fill in what they leave out.

    Args:
        values: by name as on the command line, with underscores: ``{"code_dir": "model/", "target_type": "binary"}``.

    Raises:
        UsageError: a name is no argument of ``drum server``, or as ``build_settings``.
    """
    known = dict(arguments_of(SERVER))
    for name in values:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(sorted(known))}."
            raise UsageError(f"{name!r} is no argument of drum server: {hint}")
    flags = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in values.items()}
    return build_settings(complete_arguments(SERVER, flags), server_type)


def export_arguments(settings: Settings) -> dict[str, str]:
    """Return the environment variables that give a worker process the same settings."""
    return {ARGUMENTS_VARIABLE: Arguments(**settings.arguments).to_json()}


def export_environment(settings: Settings) -> None:
    """Set the environment variables that worker processes and numeric libraries read."""
    os.environ.update(export_arguments(settings))
    if settings.thread_plan is not None:
        os.environ.update(settings.thread_plan.variables)


def environment_without_sharing(settings: Settings) -> dict[str, str]:
    """Return the environment for the same start without ``DRUM_SHARE_MODEL``, whatever source has set it."""
    exported = settings.thread_plan.variables if settings.thread_plan is not None else {}
    own = {name: value for name, value in os.environ.items() if name not in exported}
    own |= secret_variables(SERVER, Arguments(**settings.arguments))
    return {**own, f"{PREFIX}DRUM_SHARE_MODEL": json.dumps({"type": "boolean", "payload": False})}


def build_model_settings(arguments: Arguments) -> ModelSettings:
    """Build the settings of the model alone, for a command without a server.

    Raises:
        UsageError: an argument is missing or wrong.
        RuntimeParameterError: a parameter of the model is wrong.
        StartupError: model-metadata.yaml is unreadable.
    """
    register_secret_variables(os.environ)
    arguments = with_absolute_paths(arguments)
    code_dir = _code_dir(arguments)
    metadata = _metadata(code_dir)
    record = BuildRecord(collects=True)
    model = _model_settings(code_dir, arguments, metadata, record)
    files = read_files(arguments, metadata)
    sources = files.sources(os.environ)
    given = resolve(InputLimits, sources.find_server_value)
    loading = resolve(LoadParameters, sources.find_server_value)
    compilation = resolve(CompileParameters, sources.find_server_value)
    own = files.collect(os.environ)
    for error in (*files.errors, *given.errors, *loading.errors, *compilation.errors, *own.errors.values()):
        record.add(error)
    record.raise_errors()
    install(own.values)
    policy = PicklePolicy(loading.values.get("pickle_policy", PicklePolicy.ALLOW))
    model = model.with_values(
        limits=command_limits(given.values),
        pickle_policy=policy,
        compilation=options_of(compilation.values),
    )
    name = choose_name([own.served_name for own in model.models], model.default_model, arguments.model)
    return next((own for own in model.models if own.served_name == name), model)


def needs_target_type(arguments: Arguments) -> bool:
    """Return True if there is a folder with one model, and neither an argument nor its metadata name its target."""
    if arguments.target_type or arguments.gpu_predictor or not os.path.isdir(arguments.code_dir or ""):
        return False
    try:
        metadata = _metadata(_code_dir(arguments))
        return not (metadata.target_type or metadata.has(MODELS))
    except StartupError:  # the build of the settings reports it
        return False


def training_target(arguments: Arguments) -> tuple[TargetType, ModelMetadata]:
    """Return the target type and the metadata of a model to train, before its labels are known.

    Raises:
        UsageError, StartupError: as `build_model_settings`.
    """
    metadata = _metadata(_code_dir(with_absolute_paths(arguments)))
    return choose_target_type(arguments, metadata, BuildRecord()), metadata


def build_settings(arguments: Arguments, server_type: str | None = None) -> Settings:
    """Check the arguments, read model-metadata.yaml and the runtime parameters, and install the latter.

    Raises:
        UsageError: an argument is missing or wrong.
        RuntimeParameterError: a parameter is wrong, and there is no error server to report it.
        StartupError: model-metadata.yaml is unreadable.
        SettingsErrors: several of these.
    """
    record = BuildRecord(collects=True, is_report=False)
    settings = draft_settings(arguments, record, server_type)
    record.raise_errors()
    return settings


def draft_settings(arguments: Arguments, record: BuildRecord, server_type: str | None = None) -> Settings:
    """Build the settings as ``build_settings`` does; with a record that collects errors, despite these.

    What is wrong is then replaced: by its default, or for the target type by unstructured.
    """
    arguments = _prepare(arguments, record)
    address = record.attempt(lambda: parse_address(arguments.address or DEFAULT_ADDRESS), None, is_fatal=True)
    host, port = address or ("", 0)
    folder = record.attempt(lambda: _code_dir(arguments), None, of_model=True, is_fatal=True)
    found = None if folder is None else record.attempt(lambda: _metadata(folder), None, of_model=True)
    is_unreadable = folder is not None and found is None  # then what it may state is not missing
    metadata = found or ModelMetadata()
    model_record = BuildRecord(collects=True) if is_unreadable else record
    model = _model_settings(folder or Path(arguments.code_dir or ""), arguments, metadata, model_record)
    from_platforms = PlatformParameters(record.attempt(lambda: find_platforms(os.environ), ()))
    level = _logging_level(arguments)
    parameters = read_parameters(
        arguments, metadata, from_platforms, os.environ, server_type=server_type, logging_level=level
    )
    access = _install(parameters, record, with_error_server=arguments.with_error_server)
    server = parameters.server
    engine = record.attempt(lambda: find_engine(arguments, server, model.target_type), None, of_model=True)
    model = model.with_values(
        engine=engine,
        strict_type_schema=server.strict_type_schema,
        pickle_policy=PicklePolicy(server.pickle_policy),
        compilation=server.compile_options,
        limits=server_limits(server),
    )
    return Settings(
        model=model,
        host=host,
        port=port,
        url_prefix=record.attempt(url_prefix, ""),
        workers=server.custom_model_workers,
        server=server,
        logging_level=level,
        with_error_server=arguments.with_error_server,
        show_perf=arguments.show_perf,
        show_stacktrace=arguments.show_stacktrace,
        verbose=arguments.verbose,
        production=arguments.production,
        arguments=dataclasses.asdict(arguments),
        parameter_error=next(iter(parameters.errors), None),
        tracing=read_tracing(os.environ, exports_metrics=server.metrics != "off"),
        thread_plan=_thread_plan(server),
        platform=platform_settings(vars(arguments), from_platforms),
        access=access,
        origins={**parameters.origins, **record.origins},
        model_parameters=parameters.own,
        defined_parameters=parameters.defined,
    )


def _prepare(arguments: Arguments, record: BuildRecord) -> Arguments:
    """Mask secrets and note the origins of the arguments; return these with absolute paths."""
    register_secret(arguments.api_token)
    register_url_credentials(arguments.webserver)
    register_secret_variables(os.environ)
    if arguments.production:
        logger.warning("--production is deprecated: give --max-workers instead.")
    record.origins |= {argument.flag: arguments.origin_of(name) for name, argument in arguments_of(SERVER).items()}
    if arguments.verbose and not arguments.logging_level:
        record.origins["--logging-level"] = arguments.origin_of("verbose")
    return with_absolute_paths(arguments)


def _install(parameters: ReadParameters, record: BuildRecord, *, with_error_server: bool) -> AccessSettings:
    """Give the values to model code and return the settings of access.

    Raises:
        RuntimeParameterError: a parameter is wrong, unless errors are collected. With the error server those of access
            are raised alone: an error server without its keys would be open.
    """
    for error in parameters.access_errors:
        record.add(error, is_fatal=True)
    install(None if parameters.model_errors else parameters.values)
    server = parameters.server
    access = record.attempt(lambda: read_access(server, server.server_type, os.environ), OPEN, is_fatal=True)
    if record.is_report or not with_error_server:
        for error in parameters.errors:
            record.add(error, of_model=error in parameters.model_errors)
    return access


def _thread_plan(server: ServerParameters) -> ThreadPlan | None:
    if server.server_type != "fastapi":
        return None
    return plan_threads(os.environ, server.custom_model_workers, server.numeric_threads)


def _metadata(code_dir: Path) -> ModelMetadata:
    return read_model_metadata(metadata_folder(code_dir, os.environ, FILE_NAME))


def _code_dir(arguments: Arguments) -> Path:
    if not arguments.code_dir:
        raise UsageError("The folder of the model is missing: give it as an argument, --code-dir or CODE_DIR.")
    code_dir = Path(arguments.code_dir)
    if not code_dir.is_dir():
        raise UsageError(f"--code-dir {code_dir} is not a folder.")
    return code_dir


def _model_settings(
    code_dir: Path, arguments: Arguments, metadata: ModelMetadata, record: BuildRecord
) -> ModelSettings:
    """Build the settings of the model of a folder; of a routed set, those of its default or first model hold."""
    entries = record.attempt(lambda: read_entries(code_dir, arguments, metadata), None, of_model=True)
    if not entries:  # with a malformed list, errors of a single model would mislead
        return _single_model(code_dir, arguments, metadata, record if entries == () else BuildRecord(collects=True))
    models = []
    for entry in entries:
        own = BuildRecord(collects=record.collects)
        with naming_model(entry.name):
            model = _single_model(entry.folder, arguments_for(entry, arguments, metadata), entry.metadata, own)
        if not (entry.metadata.target_type or arguments.target_type):
            own.origins["--target-type"] = Origin(Source.METADATA, "targetType")
        if entry.metadata.target_name:
            own.origins["TARGET_NAME"] = Origin(Source.METADATA, "targetName")
        record.merge(own, entry.name)
        target_name = entry.metadata.target_name or model.target_name
        models.append(dataclasses.replace(model, served_name=entry.name, target_name=target_name))
    default = choose_default(entries)
    first = next((model for model in models if model.served_name == default), models[0])
    own_values: dict[str, Any] = {"code_dir": code_dir, "metadata": metadata.document, **_served(code_dir, metadata)}
    return dataclasses.replace(first, models=tuple(models), default_model=default, **own_values)


def _served(code_dir: Path, metadata: ModelMetadata) -> dict[str, Any]:
    """Return name and version of a folder for its clients; a name is one segment of a path."""
    name, version = metadata.name or code_dir.name, metadata.version
    served = {"served_name": name or DEFAULT_SERVED_NAME, "served_version": version or DEFAULT_SERVED_VERSION}
    return {key: text.strip().replace("/", "_") for key, text in served.items()}


def _single_model(code_dir: Path, arguments: Arguments, metadata: ModelMetadata, record: BuildRecord) -> ModelSettings:
    record.origins["--target-type"] = arguments.origin_of("target_type")
    known_type = record.attempt(lambda: choose_target_type(arguments, metadata, record), None, of_model=True)
    target_type = known_type or TargetType.UNSTRUCTURED
    target_name = record.attempt(lambda: _target_name(target_type, metadata, record), None, of_model=True)
    labels = ClassLabels()
    if known_type is not None:
        labels = record.attempt(lambda: find_class_labels(target_type, arguments, metadata), labels, of_model=True)
    record.origins |= labels.origins
    record.origins |= {key: Origin(Source.METADATA, key) for key in _METADATA_KEYS if metadata.has(key)}
    secrets = (arguments.user_secrets_mount_path, arguments.user_secrets_prefix)
    return ModelSettings(
        code_dir=code_dir,
        target_type=target_type,
        target_name=target_name,
        class_labels=labels.all,
        positive_class_label=labels.positive,
        negative_class_label=labels.negative,
        language=arguments.language,
        metadata=metadata.document,
        target_names=record.attempt(lambda: read_target_names(target_type, metadata), (), of_model=True),
        prompt_column=record.attempt(lambda: metadata.prompt_column, None, of_model=True) or DEFAULT_PROMPT_COLUMN,
        deployment=record.attempt(lambda: _deployment(arguments, target_type, labels.all), None),
        user_secrets=record.attempt(lambda: read_user_secrets(*secrets, os.environ), {}, of_model=True),
        **_served(code_dir, metadata),
    )


def _target_name(target_type: TargetType, metadata: ModelMetadata, record: BuildRecord) -> str | None:
    name = os.environ.get("TARGET_NAME")
    if name:
        record.origins["TARGET_NAME"] = Origin(Source.VARIABLE, "TARGET_NAME")
    elif name := metadata.target_name:
        record.origins["TARGET_NAME"] = Origin(Source.METADATA, "targetName")
    if target_type.has_target_column and not name:
        raise UsageError(
            f"A {target_type.value} model needs the name of its target: set the variable TARGET_NAME, or "
            f"targetName in {FILE_NAME}."
        )
    return name or None


def _deployment(
    arguments: Arguments, target_type: TargetType, class_labels: tuple[str, ...]
) -> DeploymentConfig | None:
    if not arguments.deployment_config:
        return None
    return read_deployment_config(Path(arguments.deployment_config), target_type, class_labels)


def _logging_level(arguments: Arguments) -> str:
    return arguments.logging_level or ("debug" if arguments.verbose else DEFAULT_LOGGING_LEVEL)
