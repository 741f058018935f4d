"""Error texts in the log are shortened: an exception may quote a whole cell of the input."""

import json
import logging

import pytest

from datarobot_drum.drum.error_text import MAX_LOGGED_TEXT, format_error, indented_lines, shortened
from datarobot_drum.drum.process.logs import JSON, MAX_MESSAGE, TEXT, log_handler
from datarobot_drum.runtime_parameters.masking import register_secret
from tests.cases import each_case

HUGE = "x" * 1_000_000


def failure(message: str) -> Exception:
    try:
        try:
            raise KeyError(message)
        except KeyError as cause:
            raise ValueError(f"{message}\nmore\n{message}") from cause
    except ValueError as error:
        return error


def logged(log_format: str, message: str, error: Exception, capsys: pytest.CaptureFixture[str]) -> str:
    handler = log_handler(log_format)
    record = logging.LogRecord(
        "datarobot_drum.x", logging.ERROR, "", 1, "%s", (message,), (type(error), error, error.__traceback__)
    )
    handler.handle(record)
    return capsys.readouterr().err


@each_case("log_format", [TEXT, JSON])
@each_case("secret", [None, "s3cret"])
def test_message_and_traceback_are_shortened(
    log_format: str, secret: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    register_secret(secret)
    text = logged(log_format, f"{secret} {HUGE}", failure(f"{secret} {HUGE}"), capsys)
    assert len(text) < MAX_MESSAGE + 5 * MAX_LOGGED_TEXT
    assert "Traceback (most recent call last)" in text and "KeyError" in text and "ValueError" in text
    assert secret is None or secret not in text
    assert log_format == TEXT or json.loads(text)["logger"] == "datarobot_drum.x"


def test_short_texts_are_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    error = failure("no")
    text = logged(TEXT, "The model failed.", error, capsys)
    assert "The model failed." in text and text.endswith(f"{indented_lines(format_error(error))}\n")


def test_shortened_text_ends_with_a_mark() -> None:
    assert shortened("x" * 1000, 1000) == "x" * 1000
    assert shortened("x" * 1001, 1000) == "x" * 997 + "..."


CONTROLS = ["\n", "\r", "\x0b", "\x1b[31m", "\x7f", "\x85", "\x9b2J", "\u2028", "\u2029", "\u202e", "\u2066", "\ufeff"]
FORGED = "2026-01-01 00:00:00,000 INFO datarobot_drum.x: forged"


@each_case("log_format", [TEXT, JSON])
@each_case("control", CONTROLS, ids=ascii)
def test_control_characters_are_escaped_in_message_and_traceback(
    log_format: str, control: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = logged(log_format, f"a{control}{FORGED}", failure(f"b{control}{FORGED}"), capsys)
    assert all(line.isprintable() for line in text.split("\n"))
    assert not [line for line in text.split("\n") if line.startswith(FORGED)]
    assert log_format == TEXT or json.loads(text)["message"] == f"a{control}{FORGED}"


def test_lines_of_a_traceback_are_indented(capsys: pytest.CaptureFixture[str]) -> None:
    text = logged(TEXT, "The model failed.", failure(f"no\n{FORGED}"), capsys)
    first, *others, last = text.split("\n")
    assert "datarobot_drum.x: The model failed." in first and last == ""
    assert f"  {FORGED}" in others and all(line.startswith("  ") for line in others)
