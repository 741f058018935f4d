"""The subcommands, each declared once; importing this module imports none of them."""

from dataclasses import dataclass

from datarobot_drum.drum.settings.declaration import CONFIG, FIT, NEW_MODEL, PERF_TEST, SCORE, SERVE, SERVER, VALIDATION


@dataclass(frozen=True)
class Command:
    """A subcommand. ``function`` is an import string, ``logging_level`` the default log level.

    ``group`` is its heading in ``drum --help``, ``examples`` are command lines.
    """

    name: str
    summary: str
    description: str
    function: str
    group: str
    examples: tuple[str, ...] = ()
    logging_level: str = "warning"


_SERVE, _CHECK, _MAKE, _SHELL = "Serve and predict", "Check and measure", "Make a model", "Shell"

COMPLETION = "completion"
SHELLS = {
    "bash": 'eval "$(drum completion bash)"',
    "zsh": 'eval "$(drum completion zsh)"',
    "fish": "drum completion fish | source",
}
"""The shells whose words are completed, and the line that switches it on."""

COMMANDS = (
    Command(
        SERVER,
        "run a prediction server",
        "Run a prediction server.",
        "datarobot_drum.drum.commands.server:serve",
        _SERVE,
        ("drum server my-model/", "drum server my-model/ --server fastapi --address 0.0.0.0:8080 --max-workers 2"),
        logging_level="info",
    ),
    Command(
        SERVE,
        "run a prediction server, as the argument of a container",
        "Run drum server as SageMaker and other platforms start a container: everything comes from variables, the "
        "address is 0.0.0.0:8080 unless the platform names a port, and the model is in the platform's folder.",
        "datarobot_drum.drum.commands.server:serve",
        _SERVE,
        logging_level="info",
    ),
    Command(
        CONFIG,
        "check the configuration of a server and its model",
        "Print every setting that drum server would have with the same arguments, and where it comes from. Check them, "
        "load the model and predict the warm-up sample, without opening a port.",
        "datarobot_drum.drum.commands.config.command:check",
        _CHECK,
        ("drum config my-model/",),
    ),
    Command(
        SCORE,
        "predict a file",
        "Predict the rows of a file, block by block, into a file or to standard output.",
        "datarobot_drum.drum.commands.score.command:score",
        _SERVE,
        ("drum score my-model/ --input rows.csv --output predictions.csv",),
    ),
    Command(
        VALIDATION,
        "check a model against its contract",
        "Check a model on sample data: missing values, output, determinism, independence of the rows of each other.",
        "datarobot_drum.drum.commands.validation.command:validate",
        _CHECK,
        ("drum validation my-model/ --input rows.csv --report validation.html",),
    ),
    Command(
        PERF_TEST,
        "measure a server that serves the model",
        "Start a server and measure latency, throughput and memory over batch sizes and concurrency.",
        "datarobot_drum.drum.commands.perf_test.command:measure",
        _CHECK,
        ("drum perf-test my-model/ --input rows.csv --report speed.html",),
    ),
    Command(
        NEW_MODEL,
        "write a runnable model folder to start from",
        "Write a runnable model folder, with a test, into --code-dir.",
        "datarobot_drum.drum.commands.new_model.command:write_model",
        _MAKE,
        ("drum new model my-model/ --target-type binary",),
    ),
    Command(
        FIT,
        "train a model with its fit hook",
        "Train a model with its fit hook, save it, and check what was saved by serving it.",
        "datarobot_drum.drum.commands.fit.command:fit",
        _MAKE,
        ("drum fit my-code/ --input rows.csv --target price --output my-model/ --target-type regression",),
    ),
    *(
        Command(
            f"{COMPLETION} {shell}",
            f"print the completion script of {shell}",
            f"Print the script with which {shell} completes the words of drum; with the extra terminal.",
            "datarobot_drum.drum.commands.completion:print_script",
            _SHELL,
            (example,),
        )
        for shell, example in SHELLS.items()
    ),
)


def find_command(name: str) -> Command:
    """Return the command of that name.

    Raises:
        KeyError: there is no such command.
    """
    return {command.name: command for command in COMMANDS}[name]
