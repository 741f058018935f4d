"""The arguments of ``drum``, each declared once: flag, variable, kind and help.

A value comes from the flag, else from the variable, which is the flag's name in upper case with underscores
unless a document names another. What comes after these two (runtime parameters, model-metadata.yaml,
defaults) is decided where the settings are built.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.server_parameters import LOGGING_LEVELS, WORKER_LIMITS
from datarobot_drum.drum.target_types import TargetType
from datarobot_drum.runtime_parameters.declaration import parse_integer, parse_switch

_METADATA_KEY = "argument"
_TARGET_TYPES = tuple(target_type.value for target_type in TargetType)
_LABEL_SOURCES = ("class_labels", "class_labels_file")


class ArgumentKind(str, Enum):
    """How the text of an argument is read."""

    TEXT = "text"
    CHOICE = "choice"
    INTEGER = "integer"
    SWITCH = "switch"
    LABELS = "labels"


@dataclasses.dataclass(frozen=True)
class Argument:
    """One row of the table. ``commands`` are the subcommands that take it."""

    flag: str
    help: str
    kind: ArgumentKind = ArgumentKind.TEXT
    short: str | None = None
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    variable: str = ""
    foreign_values: bool = False
    """The variable also belongs to someone else, so a value that is no choice is not ours."""
    secret: bool = False
    commands: tuple[str, ...] = ("server",)

    @property
    def environment(self) -> str:
        return self.variable or self.flag.lstrip("-").replace("-", "_").upper()

    def convert(self, text: str) -> Any:
        """The plain value of a text.

        Raises:
            ValueError: with what is wrong, fit to follow the argument's name.
        """
        if self.kind is ArgumentKind.SWITCH:
            return parse_switch(text)
        if self.kind is ArgumentKind.INTEGER:
            return parse_integer(text)
        if self.kind is ArgumentKind.LABELS:
            return tuple(text.split())
        if self.kind is ArgumentKind.CHOICE:
            return self._choose(text)
        return text

    def _choose(self, text: str) -> str:
        wanted = text.strip().lower()
        if wanted not in self.choices:
            raise ValueError(f"must be one of {', '.join(self.choices)}, not {text!r}")
        return wanted


def argument(flag: str, help: str, **details: Any) -> Any:
    """A dataclass field that declares an argument; ``details`` are fields of `Argument`."""
    row = Argument(flag, help, **details)
    default = False if row.kind is ArgumentKind.SWITCH else None
    return dataclasses.field(default=default, repr=not row.secret, metadata={_METADATA_KEY: row})


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The command line with its environment equivalents, as plain values; None is not given."""

    command: str = "server"
    code_dir: str | None = argument(
        "--code-dir", "Folder with the model's code and artifacts.", short="-cd", metavar="FOLDER"
    )
    target_type: str | None = argument(
        "--target-type",
        f"Kind of model: {', '.join(_TARGET_TYPES)}; else targetType of model-metadata.yaml.",
        kind=ArgumentKind.CHOICE,
        choices=_TARGET_TYPES,
        metavar="TYPE",
    )
    address: str | None = argument(
        "--address", "Where to listen: host:port, :port, a bare port, or [ipv6]:port.", metavar="HOST:PORT"
    )
    positive_class_label: str | None = argument(
        "--positive-class-label", "Label of a binary model's positive class.", metavar="LABEL"
    )
    negative_class_label: str | None = argument(
        "--negative-class-label", "Label of a binary model's negative class.", metavar="LABEL"
    )
    class_labels: tuple[str, ...] | None = argument(
        "--class-labels",
        "Labels of a multiclass or multilabel model, separated by blanks.",
        kind=ArgumentKind.LABELS,
        metavar="LABEL",
    )
    class_labels_file: str | None = argument(
        "--class-labels-file", "The same from a file, one label a line.", metavar="FILE"
    )
    language: str | None = argument(
        "--language",
        "Language of the model's code; found out by default.",
        kind=ArgumentKind.CHOICE,
        choices=("python", "r", "java"),
        metavar="LANGUAGE",
        foreign_values=True,  # LANGUAGE also names the locale of the user's messages.
    )
    runtime_params_file: str | None = argument(
        "--runtime-params-file", "YAML file with values of runtime parameters.", metavar="FILE"
    )
    user_secrets_mount_path: str | None = argument(
        "--user-secrets-mount-path",
        "Folder with the user's secrets for the hooks, one in each file.",
        metavar="FOLDER",
    )
    user_secrets_prefix: str | None = argument(
        "--user-secrets-prefix",
        "Beginning of the names of variables that hold secrets, each text or a JSON object.",
        metavar="PREFIX",
    )
    deployment_config: str | None = argument(
        "--deployment-config",
        "JSON document of a deployment: structured predictions are answered in the format of DataRobot's prediction "
        "server.",
        metavar="FILE",
    )
    verbose: bool = argument(
        "--verbose",
        "More output: the level debug unless --logging-level says otherwise.",
        kind=ArgumentKind.SWITCH,
    )
    logging_level: str | None = argument(
        "--logging-level",
        f"How much is logged: {', '.join(LOGGING_LEVELS)}; default info.",
        kind=ArgumentKind.CHOICE,
        choices=LOGGING_LEVELS,
        metavar="LEVEL",
    )
    show_perf: bool = argument("--show-perf", "Log how long each prediction takes.", kind=ArgumentKind.SWITCH)
    show_stacktrace: bool = argument(
        "--show-stacktrace", "Show the traceback of an error at start.", kind=ArgumentKind.SWITCH
    )
    with_error_server: bool = argument(
        "--with-error-server",
        "When the model fails to load, stay up and answer 513 with the cause.",
        kind=ArgumentKind.SWITCH,
    )
    gpu_predictor: str | None = argument(
        "--gpu-predictor",
        "Ask the model through an inference engine: nim or vllm; needs --sidecar.",
        kind=ArgumentKind.CHOICE,
        choices=("nim", "vllm"),
        metavar="ENGINE",
    )
    sidecar: bool = argument(
        "--sidecar",
        "The engine of --gpu-predictor runs in a container of its own; where, DRUM_ENGINE_HOST and _PORT say.",
        kind=ArgumentKind.SWITCH,
    )
    max_workers: int | None = argument(
        "--max-workers",
        "Server processes, {} to {}.".format(*WORKER_LIMITS),
        kind=ArgumentKind.INTEGER,
        metavar="N",
    )
    production: bool = argument("--production", "Deprecated: give --max-workers instead.", kind=ArgumentKind.SWITCH)
    monitor_embedded: bool = argument(
        "--monitor-embedded",
        "Let unstructured model code report by itself.",
        kind=ArgumentKind.SWITCH,
        variable="MLOPS_REPORTING_FROM_UNSTRUCTURED_MODELS",
    )
    webserver: str | None = argument(
        "--webserver", "Platform address for reports.", variable="EXTERNAL_WEB_SERVER_URL", metavar="URL"
    )
    api_token: str | None = argument("--api-token", "Platform token.", secret=True, metavar="TOKEN")
    deployment_id: str | None = argument("--deployment-id", "Deployment id for reports.", metavar="ID")
    model_id: str | None = argument("--model-id", "Model id for reports.", metavar="ID")

    def to_json(self) -> str:
        """For a worker process, which reads it back with `from_json`."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Arguments":
        """Read back what `to_json` wrote.

        Raises:
            UsageError: it is something else.
        """
        try:
            values = json.loads(text)
            if values.get("class_labels") is not None:
                values["class_labels"] = tuple(values["class_labels"])
            return cls(**values)
        except (ValueError, TypeError, AttributeError):
            raise UsageError("DRUM_ARGUMENTS does not hold the arguments of drum.") from None


def arguments_of(command: str) -> Iterator[tuple[str, Argument]]:
    """The rows of one subcommand, by field name."""
    for field in dataclasses.fields(Arguments):
        row = field.metadata.get(_METADATA_KEY)
        if row is not None and command in row.commands:
            yield field.name, row


def merge(command: str, flags: Mapping[str, Any], environ: Mapping[str, str]) -> Arguments:
    """Flags, else variables. Variables that the subcommand does not know, and empty ones, are ignored.

    Raises:
        UsageError: a variable holds a value that its argument does not take.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if any(name in given for name in _LABEL_SOURCES):
        # One way of giving labels on the command line replaces both variables.
        given = dict.fromkeys(_LABEL_SOURCES) | given
    values = {}
    for name, row in arguments_of(command):
        value = given[name] if name in given else _from_variable(row, environ)
        if value is not None:
            values[name] = value
    return Arguments(command=command, **values)


def _from_variable(row: Argument, environ: Mapping[str, str]) -> Any:
    text = environ.get(row.environment, "")
    if not text.strip():
        return None
    try:
        return row.convert(text)
    except ValueError as error:
        if row.foreign_values:
            return None
        raise UsageError(f"The variable {row.environment} {error}.") from None
