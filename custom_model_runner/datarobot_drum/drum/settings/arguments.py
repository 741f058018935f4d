"""The command-line arguments of ``drum``, each declared once: flag, variable, kind and help.

A value comes from the flag, else from the variable. Its name is that of the flag in upper case with underscores,
unless declared. Runtime parameters, model-metadata.yaml and defaults are merged later, in `build`.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.address import DEFAULT_ADDRESS
from datarobot_drum.drum.settings.command_arguments import PerfTestArguments, ScoreArguments
from datarobot_drum.drum.settings.declaration import (
    COMMAND_NAMES,
    CONFIG,
    FIT,
    NEW_MODEL,
    PERF_TEST,
    SCORE,
    SERVE,
    SERVER,
    VALIDATION,
    Argument,
    argument,
    settings_of,
)
from datarobot_drum.drum.settings.platforms import platform_arguments
from datarobot_drum.drum.settings.server_parameters import LOGGING_LEVELS, SERVER_PARAMETER_NAMES, WORKER_LIMITS
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.settings.value_parsers import Kind
from datarobot_drum.runtime_parameters.masking import MASK, mask_secrets
from datarobot_drum.runtime_parameters.origins import DEFAULT, Origin, Source

_TARGET_TYPES = tuple(target_type.value for target_type in TargetType)
_PATH_ARGUMENTS = (
    "code_dir",
    "class_labels_file",
    "runtime_params_file",
    "deployment_config",
    "user_secrets_mount_path",
)
_NO_REPORTS = "No effect: this server sends no reports."
_LABEL_SOURCES = ("class_labels", "class_labels_file")

_MODEL_COMMANDS = (SERVER, SCORE, VALIDATION, PERF_TEST, FIT)


@dataclasses.dataclass(frozen=True)
class Arguments(ScoreArguments, PerfTestArguments):
    """The command line merged with its environment variables, as plain values; None is not given."""

    command: str = SERVER
    code_dir: str | None = argument(
        "--code-dir",
        "Folder with the model's code and artifacts; also without the flag, as first argument.",
        short="-cd",
        metavar="FOLDER",
        commands=COMMAND_NAMES,
    )
    target_type: str | None = argument(
        "--target-type",
        f"Kind of model: {', '.join(_TARGET_TYPES)}; else targetType of model-metadata.yaml, else the model's own.",
        kind=Kind.CHOICE,
        choices=_TARGET_TYPES,
        metavar="TYPE",
        commands=COMMAND_NAMES,
    )
    address: str | None = argument(
        "--address",
        f"Address to listen on: host:port, :port, a bare port, or [ipv6]:port; default {DEFAULT_ADDRESS}.",
        metavar="HOST:PORT",
    )
    positive_class_label: str | None = argument(
        "--positive-class-label",
        "Label of a binary model's positive class.",
        metavar="LABEL",
        commands=_MODEL_COMMANDS,
    )
    negative_class_label: str | None = argument(
        "--negative-class-label",
        "Label of a binary model's negative class.",
        metavar="LABEL",
        commands=_MODEL_COMMANDS,
    )
    class_labels: tuple[str, ...] | None = argument(
        "--class-labels",
        "Labels of a multiclass or multilabel model, separated by blanks.",
        kind=Kind.LABELS,
        metavar="LABEL",
        commands=_MODEL_COMMANDS,
    )
    class_labels_file: str | None = argument(
        "--class-labels-file", "File with the class labels, one per line.", metavar="FILE", commands=_MODEL_COMMANDS
    )
    language: str | None = argument(
        "--language",
        "Language of the model's code; detected by default.",
        kind=Kind.CHOICE,
        choices=("python", "r", "java"),
        metavar="LANGUAGE",
        commands=COMMAND_NAMES,
        shared_variable=True,  # LANGUAGE also names the locale of the user's messages.
    )
    runtime_params_file: str | None = argument(
        "--runtime-params-file",
        "YAML file with values of runtime parameters.",
        metavar="FILE",
        commands=_MODEL_COMMANDS,
    )
    user_secrets_mount_path: str | None = argument(
        "--user-secrets-mount-path",
        "Folder with the user's secrets for the hooks, one per file.",
        metavar="FOLDER",
        commands=_MODEL_COMMANDS,
    )
    user_secrets_prefix: str | None = argument(
        "--user-secrets-prefix",
        "Prefix of the environment variables that hold secrets, each text or a JSON object.",
        metavar="PREFIX",
        commands=_MODEL_COMMANDS,
    )
    deployment_config: str | None = argument(
        "--deployment-config",
        "JSON document of a deployment: structured predictions are returned in the format of DataRobot's prediction "
        "server.",
        metavar="FILE",
    )
    verbose: bool = argument(
        "--verbose",
        "Set the log level to debug, unless --logging-level is given.",
        kind=Kind.BOOLEAN,
        commands=COMMAND_NAMES,
    )
    logging_level: str | None = argument(
        "--logging-level",
        f"Log level: {', '.join(LOGGING_LEVELS)}; default info for drum server, warning for the others.",
        kind=Kind.CHOICE,
        choices=LOGGING_LEVELS,
        metavar="LEVEL",
        commands=(SERVER, SCORE),
    )
    server: str | None = argument(
        "--server",
        "Server type: fastapi, flask or gunicorn. It wins over the parameter DRUM_SERVER_TYPE.",
        kind=Kind.CHOICE,
        choices=("flask", "gunicorn", "fastapi", "werkzeug", "uvicorn"),
        metavar="SERVER",
        name="DRUM_SERVER_TYPE",
        commands=(SERVER, PERF_TEST, NEW_MODEL),
        shared_variable=True,  # An unknown type is a warning elsewhere.
    )
    show_perf: bool = argument("--show-perf", "Log how long each prediction takes.", kind=Kind.BOOLEAN)
    show_stacktrace: bool = argument(
        "--show-stacktrace",
        "Show the traceback of an error that ends the command.",
        kind=Kind.BOOLEAN,
        commands=COMMAND_NAMES,
    )
    with_error_server: bool = argument(
        "--with-error-server",
        "When the model fails to load, keep running and respond 513 with the cause.",
        kind=Kind.BOOLEAN,
    )
    gpu_predictor: str | None = argument(
        "--gpu-predictor",
        "Call the model through an inference engine: nim or vllm; requires --sidecar.",
        kind=Kind.CHOICE,
        choices=("nim", "vllm"),
        metavar="ENGINE",
    )
    sidecar: bool = argument(
        "--sidecar",
        "The engine of --gpu-predictor runs in its own container, at DRUM_ENGINE_HOST and DRUM_ENGINE_PORT.",
        kind=Kind.BOOLEAN,
    )
    max_workers: int | None = argument(
        "--max-workers",
        "Server processes, {} to {}.".format(*WORKER_LIMITS),
        kind=Kind.INTEGER,
        metavar="N",
        commands=(SERVER, PERF_TEST),
    )
    production: bool = argument("--production", "Deprecated: give --max-workers instead.", kind=Kind.BOOLEAN)
    monitor_embedded: bool = argument(
        "--monitor-embedded",
        f"Let unstructured model code report its own statistics. {_NO_REPORTS}",
        kind=Kind.BOOLEAN,
        name="MLOPS_REPORTING_FROM_UNSTRUCTURED_MODELS",
    )
    webserver: str | None = argument(
        "--webserver", f"Platform address for reports. {_NO_REPORTS}", name="EXTERNAL_WEB_SERVER_URL", metavar="URL"
    )
    api_token: str | None = argument("--api-token", f"Platform token. {_NO_REPORTS}", secret=True, metavar="TOKEN")
    deployment_id: str | None = argument("--deployment-id", f"Deployment id for reports. {_NO_REPORTS}", metavar="ID")
    model_id: str | None = argument("--model-id", f"Model id for reports. {_NO_REPORTS}", metavar="ID")
    model: str | None = argument(
        "--model",
        "Name of the model, for a folder whose model-metadata.yaml lists several.",
        name="DRUM_MODEL",
        metavar="NAME",
        commands=(SCORE, VALIDATION, PERF_TEST),
    )
    input: str | None = argument(
        "--input",
        "File with the data: csv, Matrix Market (.mtx), Parquet, Arrow or Feather. drum score also takes a folder, a "
        "pattern such as 'data/*.csv', or a URL that fsspec opens.",
        metavar="FILE",
        commands=(SCORE, VALIDATION, PERF_TEST, FIT),
    )
    output: str | None = argument(
        "--output",
        "Destination of the result. drum score: a file, its format by extension (.csv, .parquet, .arrow, .feather), "
        "else csv on standard output; a folder, ending in a slash, gets parts; drum fit: a folder.",
        metavar="PATH",
        commands=(SCORE, FIT),
    )
    target: str | None = argument("--target", "Column of the input to predict.", metavar="COLUMN", commands=(FIT,))
    target_csv: str | None = argument(
        "--target-csv",
        "csv with the target of each row: one column, or for multilabel one column of 0 and 1 per label.",
        metavar="FILE",
        commands=(FIT,),
    )
    row_weights: str | None = argument(
        "--row-weights", "Column of the input with row weights.", metavar="COLUMN", commands=(FIT,)
    )
    skip_predict: bool = argument(
        "--skip-predict",
        "Do not serve the trained model to check it.",
        kind=Kind.BOOLEAN,
        commands=(FIT,),
    )
    content_type: str | None = argument(
        "--content-type",
        "Type of the input: of an unstructured model, e.g. text/plain;charset=latin-1; of a csv its charset, and "
        "header=absent.",
        metavar="TYPE",
        commands=(SCORE,),
    )
    query: str | None = argument(
        "--query",
        "Query of an unstructured model's request, e.g. 'name=value&other=value'.",
        metavar="QUERY",
        commands=(SCORE,),
    )
    report: str | None = argument(
        "--report",
        "Also write the result to this file, as one self-contained HTML page.",
        metavar="FILE",
        commands=(VALIDATION, PERF_TEST),
    )
    expected: str | None = argument(
        "--expected",
        "File with predictions made elsewhere, such as in a notebook, to compare with: one row per row of the input.",
        metavar="FILE",
        commands=(VALIDATION,),
    )
    tolerance: float | None = argument(
        "--tolerance",
        "Relative difference that predictions may have from those of --expected; default 1e-6.",
        kind=Kind.NUMBER,
        metavar="NUMBER",
        commands=(VALIDATION,),
    )
    compile: bool = argument(
        "--compile",
        "Also compile the model as a server does in the background, and report what was proven and measured.",
        kind=Kind.BOOLEAN,
        commands=(VALIDATION,),
    )

    save: str | None = argument(
        "--save",
        "Also write the measurements to this file, as JSON for --compare.",
        name="DRUM_SAVE",
        metavar="FILE",
        commands=(PERF_TEST,),
    )
    compare: str | None = argument(
        "--compare",
        "File that an earlier run has written with --save: show what has changed since.",
        name="DRUM_COMPARE",
        metavar="FILE",
        commands=(PERF_TEST,),
    )
    check: bool = argument(
        "--check",
        "Do not serve: check the configuration and the model, as drum config does.",
        kind=Kind.BOOLEAN,
        name="DRUM_CHECK",
    )
    as_json: bool = argument(
        "--json",
        "Print the result of drum config, or of --check, as JSON.",
        kind=Kind.BOOLEAN,
        name="DRUM_CHECK_JSON",
    )
    reload: bool = argument(
        "--reload",
        "Restart the server when a file of the model folder changes; with the extra reload. For development, not for "
        "production.",
        kind=Kind.BOOLEAN,
        name="DRUM_RELOAD",
    )
    open_docs: bool = argument(
        "--open",
        "Open the page /playground in a browser once the server is ready.",
        kind=Kind.BOOLEAN,
        name="DRUM_OPEN",
    )
    target_hint: str = dataclasses.field(default="", compare=False)
    """Why the model does not show its target type."""
    origins: Mapping[str, Origin] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    """Where each value comes from, by field name."""
    errors: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False)
    """Messages about wrong variables by field name, of a command that reports all; for others the first is raised."""

    def origin_of(self, name: str) -> Origin:
        """Return where the value of a field comes from. What a caller in Python gives counts as a flag."""
        declared = _ARGUMENTS[name]
        is_given = getattr(self, name) not in (None, False)
        return self.origins.get(name, Origin(Source.FLAG, declared.flag) if is_given else DEFAULT)

    def to_json(self) -> str:
        """Return the arguments as JSON for a worker process, which calls `from_json`."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Arguments":
        """Parse the output of `to_json`.

        Raises:
            UsageError: ``text`` is something else.
        """
        try:
            values = json.loads(text)
            lists = [
                name for name, declared in _ARGUMENTS.items() if declared.kind.is_list and values.get(name) is not None
            ]
            origins = {name: Origin(Source(kind), key) for name, (kind, key) in values.pop("origins", {}).items()}
            values |= {name: tuple(values[name]) for name in lists}
            return cls(**values, origins=origins)
        except (ValueError, TypeError, AttributeError):
            raise UsageError("DRUM_ARGUMENTS does not hold the arguments of drum.") from None


def arguments_of(command: str) -> dict[str, Argument]:
    """Return the arguments that a subcommand takes, by field name."""
    name_of_command = SERVER if command in (SERVE, CONFIG) else command
    return {name: declared for name, declared in _ARGUMENTS.items() if name_of_command in declared.commands}


_ARGUMENTS: dict[str, Argument] = settings_of(Arguments)


def with_absolute_paths(arguments: Arguments) -> Arguments:
    """Resolve relative paths in the caller's working folder: a worker may start in another one."""
    paths = {name: getattr(arguments, name) for name in _PATH_ARGUMENTS}
    absolute = {name: os.path.abspath(path) for name, path in paths.items() if path}
    return dataclasses.replace(arguments, **absolute)


def variable_names() -> frozenset[str]:
    """Return the names of all environment variables that stand for an argument of any subcommand."""
    return frozenset(declared.name for declared in _ARGUMENTS.values())


def to_argv(command: str, arguments: Arguments) -> list[str]:
    """Return the words after ``drum COMMAND`` that set the arguments which the command takes.

    Secrets are not among them, since every user of the machine sees command lines: see ``secret_variables``.
    """
    words: list[str] = []
    for name, declared in arguments_of(command).items():
        value = getattr(arguments, name)
        if value is None or value is False or _is_secret(declared, value):
            continue
        if declared.kind is Kind.BOOLEAN:
            words.append(declared.flag)
        elif declared.kind.is_list:
            words += [declared.flag, *map(str, value)]
        else:
            words.append(f"{declared.flag}={value}")  # a value may begin with a dash
    return words


def secret_variables(command: str, arguments: Arguments) -> dict[str, str]:
    """Return the environment variables that set the arguments which ``to_argv`` leaves out."""
    values = {declared: getattr(arguments, name) for name, declared in arguments_of(command).items()}
    return {declared.name: value for declared, value in values.items() if _is_secret(declared, value)}


def mask_command_line(words: Sequence[str]) -> list[str]:
    """Return a command line without known secrets, and without the values of secret flags."""
    flags = {declared.flag for declared in _ARGUMENTS.values() if declared.secret}
    masked = []
    for number, word in enumerate(words):
        flag, equals, _ = word.partition("=")
        if number and words[number - 1] in flags:
            masked.append(MASK)
        else:
            masked.append(f"{flag}={MASK}" if equals and flag in flags else mask_secrets(word))
    return masked


def _is_secret(declared: Argument, value: Any) -> bool:
    return isinstance(value, str) and (declared.secret or mask_secrets(value) != value)


def merge_environment(command: str, flags: Mapping[str, Any], environ: Mapping[str, str]) -> Arguments:
    """Return the flags, completed from environment variables, and for a server from those of the platform.

    Variables that the subcommand does not take, and empty ones, are ignored. ``drum serve`` becomes ``drum server``,
    and both become ``drum config`` with ``--check``.

    Raises:
        UsageError: a variable has a value that is not valid for its argument. ``drum config`` keeps these errors.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if any(name in given for name in _LABEL_SOURCES):
        # One way of giving labels on the command line replaces both variables.
        given = dict.fromkeys(_LABEL_SOURCES) | given
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    errors: dict[str, UsageError] = {}
    for name, declared in arguments_of(command).items():
        try:
            value = given[name] if name in given else _from_variable(declared, environ, command)
        except UsageError as error:
            errors[name] = error
            continue
        if value is not None:
            values[name] = value
            is_flag = name in given
            origins[name] = Origin(Source.FLAG, declared.flag) if is_flag else Origin(Source.VARIABLE, declared.name)
    is_serve, is_check = command == SERVE, command == CONFIG or values.get("check", False)
    if errors and not is_check:
        raise next(iter(errors.values()))
    if command in (SERVER, SERVE, CONFIG):
        try:
            for name, (source, value) in platform_arguments(values, environ, is_serve=is_serve).items():
                values[name] = value
                origins[name] = Origin(Source.PLATFORM, source) if source else DEFAULT
        except UsageError as error:
            if not is_check:
                raise
            errors["platform"] = error
        command = CONFIG if is_check else SERVER
    return Arguments(
        command=command, **values, origins=origins, errors={name: str(error) for name, error in errors.items()}
    )


def _from_variable(declared: Argument, environ: Mapping[str, str], command: str) -> Any:
    text = environ.get(declared.name, "")
    if not text.strip() or (declared.name in SERVER_PARAMETER_NAMES and command != NEW_MODEL):
        return None  # the parameter of that name is read with the others
    try:
        return declared.parse(text)
    except ValueError as error:
        if declared.shared_variable:
            return None
        raise UsageError(f"The variable {declared.name} {error}.") from None
