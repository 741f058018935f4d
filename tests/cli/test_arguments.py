"""The command line and its environment variables."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum import __version__
from datarobot_drum.drum.cli import Arguments, parse_arguments
from datarobot_drum.drum.commands.registry import COMMANDS
from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.arguments import arguments_of
from datarobot_drum.drum.settings.build import build_settings, export_arguments
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETER_NAMES
from datarobot_drum.runtime_parameters import mask_secrets
from tests.cases import each_case

pytestmark = pytest.mark.usefixtures("clean_environment")

_TEXTS = st.none() | st.text()


def _fails(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(argv)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_no_arguments_give_defaults() -> None:
    assert parse_arguments(["server"]) == Arguments()


@each_case(
    ("words", "name", "value"),
    [
        (["--code-dir", "model"], "code_dir", "model"),
        (["-cd", "model"], "code_dir", "model"),
        (["--code-dir=model"], "code_dir", "model"),
        (["--target-type", "binary"], "target_type", "binary"),
        (["--target-type", "Binary"], "target_type", "binary"),
        (["--address", "localhost:80"], "address", "localhost:80"),
        (["--positive-class-label", "yes please"], "positive_class_label", "yes please"),
        (["--negative-class-label", "-1"], "negative_class_label", "-1"),
        (["--class-labels", "a", "b c", "1"], "class_labels", ("a", "b c", "1")),
        (["--class-labels", "a b c"], "class_labels", ("a", "b", "c")),
        (["--class-labels-file", "labels.txt"], "class_labels_file", "labels.txt"),
        (["--language", "r"], "language", "r"),
        (["--runtime-params-file", "p.yaml"], "runtime_params_file", "p.yaml"),
        (["--verbose"], "verbose", True),
        (["--logging-level", "WARNING"], "logging_level", "warning"),
        (["--show-perf"], "show_perf", True),
        (["--show-stacktrace"], "show_stacktrace", True),
        (["--with-error-server"], "with_error_server", True),
        (["--max-workers", "3"], "max_workers", 3),
        (["--production"], "production", True),
        (["--monitor-embedded"], "monitor_embedded", True),
        (["--webserver", "http://host"], "webserver", "http://host"),
        (["--api-token", "t0ken"], "api_token", "t0ken"),
        (["--deployment-id", "65"], "deployment_id", "65"),
        (["--model-id", "66"], "model_id", "66"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_flag_sets_argument(words: list[str], name: str, value: Any) -> None:
    assert parse_arguments(["server", *words]) == Arguments(**{name: value})


@each_case(
    ("words", "name", "value"),
    [
        (["score", "--input", "in.csv"], "input", "in.csv"),
        (["score", "--output", "out.csv"], "output", "out.csv"),
        (["score", "--content-type", "text/plain"], "content_type", "text/plain"),
        (["score", "--query", "a=b"], "query", "a=b"),
        (["validation", "--report", "out.html"], "report", "out.html"),
        (["perf-test", "--batch-sizes", "1", "10,100"], "batch_sizes", (1, 10, 100)),
        (["perf-test", "--concurrency", "1 8"], "concurrency", (1, 8)),
        (["perf-test", "--duration", "5"], "duration", 5),
        (["perf-test", "--timeout", "60"], "timeout", 60),
        (["perf-test", "--max-workers", "2"], "max_workers", 2),
        (["new model", "-cd", "folder"], "code_dir", "folder"),
        (["fit", "--target", "y"], "target", "y"),
        (["fit", "--skip-predict"], "skip_predict", True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_command_takes_its_flags(words: list[str], name: str, value: Any) -> None:
    command, *flags = words
    assert parse_arguments([*command.split(), *flags]) == Arguments(command=command, **{name: value})


@each_case(
    ("variable", "text", "name", "value"),
    [
        ("CODE_DIR", "model", "code_dir", "model"),
        ("TARGET_TYPE", "regression", "target_type", "regression"),
        ("ADDRESS", ":8080", "address", ":8080"),
        ("CLASS_LABELS", " a  b ", "class_labels", ("a", "b")),
        ("POSITIVE_CLASS_LABEL", "two words", "positive_class_label", "two words"),
        ("MAX_WORKERS", "4", "max_workers", 4),
        ("LANGUAGE", "python", "language", "python"),
        ("RUNTIME_PARAMS_FILE", "p.yaml", "runtime_params_file", "p.yaml"),
        ("PRODUCTION", "1", "production", True),
        ("WITH_ERROR_SERVER", "anything", "with_error_server", True),
        ("MLOPS_REPORTING_FROM_UNSTRUCTURED_MODELS", "true", "monitor_embedded", True),
        ("EXTERNAL_WEB_SERVER_URL", "http://host", "webserver", "http://host"),
        ("API_TOKEN", "t0ken", "api_token", "t0ken"),
    ],
)
def test_variable_sets_argument(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str, value: Any
) -> None:
    monkeypatch.setenv(variable, text)
    assert parse_arguments(["server"]) == Arguments(**{name: value})


@each_case("text", ["", "  ", "0", "false", "No", "OFF"])
def test_variable_turns_switch_off(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("WITH_ERROR_SERVER", text)
    assert not parse_arguments(["server"]).with_error_server


def test_flag_overrides_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADDRESS", "other:1")
    monkeypatch.setenv("MAX_WORKERS", "not even a number")
    arguments = parse_arguments(["server", "--address", "host:80", "--max-workers", "2"])
    assert (arguments.address, arguments.max_workers) == ("host:80", 2)


def test_label_flags_override_both_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASS_LABELS_FILE", "labels.txt")
    arguments = parse_arguments(["server", "--class-labels", "a", "b"])
    assert (arguments.class_labels, arguments.class_labels_file) == (("a", "b"), None)


def test_locale_in_language_variable_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "de_CH:de")
    assert parse_arguments(["server"]).language is None


def test_unknown_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET", "x")
    monkeypatch.setenv("INPUT", "y")
    assert parse_arguments(["server"]) == Arguments()


@each_case(
    ("argv", "complaint"),
    [
        ([], "arguments are required: COMMAND"),
        (["predict"], "there is no command 'predict': choose from server, "),
        (["server", "--input", "x"], "drum server has no argument --input (of drum score, "),
        (["server", "--target", "x"], "drum server has no argument --target (of drum fit)."),
        (["new"], "drum new: error: the following arguments are required"),
        (["validation", "--address", ":1"], "drum validation has no argument --address (of drum server, "),
        (["new", "model", "--input", "x"], "drum new model has no argument --input"),
        (["perf-test", "--batch-sizes", "1", "many"], "--batch-sizes: must be a number"),
        (["server", "--target-type", "clustering"], "--target-type: must be one of binary, "),
        (["server", "--max-workers", "many"], "--max-workers: must be a number"),
        (["server", "--max-workers", "1.5"], "--max-workers: must be a whole number"),
        (["server", "--logging-level", "loud"], "--logging-level: must be one of debug, info, "),
        (["server", "--language", "cobol"], "--language: must be one of python, r, java"),
        (["server", "--address"], "--address: expected one argument"),
    ],
)
def test_usage_error_is_one_sentence_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], argv: list[str], complaint: str
) -> None:
    message = _fails(capsys, *argv)
    assert complaint in message
    assert message.startswith("drum")
    assert message.count("\n") == 1


def test_invalid_variable_is_named_in_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TARGET_TYPE", "clustering")
    assert "drum: error: The variable TARGET_TYPE must be one of binary" in _fails(capsys, "server")


def test_version_flag_prints_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"drum {__version__}\n"


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(["--help"])
    assert caught.value.code == 0
    assert "server" in capsys.readouterr().out


@each_case("command", [command.name for command in COMMANDS])
def test_command_help_lists_flags_and_variables(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments([*command.split(), "--help"])
    text = capsys.readouterr().out
    rows = arguments_of(command).values()
    assert caught.value.code == 0
    assert not [row.flag for row in rows if row.flag not in text or f"[{row.name}]" not in text]


def test_server_help_lists_flags_variables_and_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["server", "--help"])
    text = capsys.readouterr().out
    rows = arguments_of("server").values()
    assert not [row.flag for row in rows if row.flag not in text]
    assert not [row.name for row in rows if f"[{row.name}]" not in text]
    assert not [name for name in SERVER_PARAMETER_NAMES if name not in text]


def test_repr_hides_the_api_token() -> None:
    assert "t0ken" not in repr(parse_arguments(["server", "--api-token", "t0ken"]))


@each_case(
    "words",
    [
        ["server", "--api-tokn", "s3cret-word"],
        ["server", "--api-tokn=s3cret-word"],
        ["server", "--api-tokn", "-s3cret-word"],
        ["server", "--api-token", "my", "s3cret-word"],
        ["--api-token", "s3cret-word", "server"],
        ["--api-tokn", "s3cret-word", "server"],
        ["server", "--webservr", "https://me:s3cret-word@host"],
        ["server", "--max-workers", "2", "--tokn", "s3cret-word", "--verbose"],
    ],
    ids=" ".join,
)
def test_usage_error_hides_the_value_of_a_misspelt_flag(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(words)
    error = capsys.readouterr().err
    assert error.startswith("drum") and "s3cret" not in error


def test_usage_error_names_a_leftover_word(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["server", "model/", "--verbose", "other/"])
    assert "unexpected argument 'other/'" in capsys.readouterr().err


def test_arguments_for_children_are_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_API_TOKEN", "mlops-t0ken-2")
    words = ["--api-token", "api-t0ken-2", "--webserver", "https://me:p%20w-t0ken@host", "--address", ":1"]
    arguments = parse_arguments(["server", "-cd", str(tmp_path), "--target-type", "unstructured", *words])
    text = "".join(export_arguments(build_settings(arguments)).values())
    assert "api-t0ken-2" in text and "p%20w-t0ken" in text
    masked = mask_secrets(f"{text} mlops-t0ken-2 'p w-t0ken'")
    assert "t0ken" not in masked and "https://me:****@host" in masked


@given(code_dir=_TEXTS, api_token=_TEXTS, class_labels=st.none() | st.lists(st.text()).map(tuple))
def test_arguments_survive_json_round_trip(**values: Any) -> None:
    arguments = Arguments(**values, verbose=True, max_workers=3)
    assert Arguments.from_json(arguments.to_json()) == arguments


@each_case("text", ["", "x", "[]", "5", '{"unknown": 1}', '{"class_labels": 5}'])
def test_from_json_rejects_other_text(text: str) -> None:
    with pytest.raises(UsageError, match="DRUM_ARGUMENTS"):
        Arguments.from_json(text)


@pytest.mark.process
def test_command_line_imports_nothing_heavy() -> None:
    heavy = {"yaml", "pandas", "numpy", "sklearn", "fastapi", "flask", "uvicorn", "gunicorn", "asyncio"}
    code = f"import sys, datarobot_drum.drum.cli\nprint(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@each_case(
    ("words", "expected"),
    [
        (["serv"], "there is no command 'serv' (did you mean serve?)"),
        (["new", "modle"], "(did you mean model?)"),
        (["server", "--adress", ":1"], "drum server has no argument --adress (did you mean --address?)."),
        (["server", "--input", "x"], "--input (of drum score, drum validation, drum perf-test, drum fit)"),
        (["server", "--api-tokn=s3cret"], "--api-tokn (did you mean --api-token?)"),
        (["server", "--server", "fastap"], "(did you mean fastapi?)"),
        (["server", "a", "b"], "unexpected argument 'b'"),
        (["server", "a", "--code-dir", "b"], "two model folders are given"),
    ],
)
def test_wrong_words_name_the_nearest_ones(capsys: pytest.CaptureFixture[str], words: list[str], expected: str) -> None:
    message = _fails(capsys, *words)
    assert expected in message and "s3cret" not in message


@each_case("words", [["server", "m"], ["server", "m", "-cd", "./m/"], ["score", "--input", "x", "m"], ["fit", "m"]])
def test_the_folder_needs_no_flag(words: list[str]) -> None:
    assert parse_arguments(words).code_dir == "m"


def test_the_help_lists_commands_by_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    text = capsys.readouterr().out
    assert all(f"  {command.name} " in text for command in COMMANDS)
    assert text.index("Serve and predict:") < text.index("Check and measure:") < text.index("drum server my-model/\n")
