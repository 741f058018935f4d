"""Error texts in the log are shortened: an exception may quote a whole cell of the input."""

import json
import logging

import pytest

from datarobot_drum.drum.process.logs import JSON, MAX_MESSAGE, TEXT, log_handler
from datarobot_drum.drum.tracebacks import MAX_ERROR_TEXT, format_error, shorten
from datarobot_drum.runtime_parameters.masking import register_secret

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


@pytest.mark.parametrize("log_format", [TEXT, JSON])
@pytest.mark.parametrize("secret", [None, "s3cret"])
def test_message_and_traceback_are_shortened(
    log_format: str, secret: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    register_secret(secret)
    text = logged(log_format, f"{secret} {HUGE}", failure(f"{secret} {HUGE}"), capsys)
    assert len(text) < MAX_MESSAGE + 5 * MAX_ERROR_TEXT
    assert "Traceback (most recent call last)" in text and "KeyError" in text and "ValueError" in text
    assert secret is None or secret not in text
    assert log_format == TEXT or json.loads(text)["logger"] == "datarobot_drum.x"


def test_short_texts_are_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    error = failure("no")
    text = logged(TEXT, "The model failed.", error, capsys)
    assert "The model failed." in text and text.endswith(format_error(error))


def test_shortened_text_has_the_length_of_the_whole() -> None:
    assert shorten("x" * 1000) == "x" * 1000
    assert shorten("x" * 1001).endswith("x... (1001 characters)") and len(shorten("x" * 1001)) == 1000
