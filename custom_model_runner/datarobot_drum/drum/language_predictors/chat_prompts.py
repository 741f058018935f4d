"""Chat for a text generation model with a ``score`` hook only: the user's last message is a table of one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datarobot_drum.drum.exceptions import BadRequest, InvalidField, PredictionError
from datarobot_drum.drum.language_predictors.base import Predictions


def last_prompt(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of the last message of the user.

    Raises:
        BadRequest: there is none.
    """
    for message in reversed(messages):
        if message.get("role") == "user" and (text := message_text(message.get("content"))):
            return text
    raise BadRequest("The field messages holds no message with the role user and a text.")


def message_text(content: Any) -> str:
    """Return the text of the content of a message, which is text or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str))


def require_plain_text(params: Mapping[str, Any]) -> None:
    """Reject a request for more than one plain text, which ``score`` cannot fulfil.

    Raises:
        InvalidField: it wants several choices, a call of a tool, or another format than text.
    """
    if params.get("n") not in (None, 1):
        raise InvalidField("n", "must be 1: this model makes one choice.")
    if params.get("tool_choice") not in (None, "none", "auto"):
        raise InvalidField("tool_choice", "cannot be fulfilled: this model calls no tools.")
    response_format = params.get("response_format")
    kind = response_format.get("type") if isinstance(response_format, Mapping) else response_format
    if kind not in (None, "text"):
        raise InvalidField("response_format", "must have the type text: this model makes plain text.")


def first_text(predictions: Predictions) -> str:
    """Return the prediction for the first row as text."""
    value = predictions.values[0, 0]
    return "" if value is None else str(value)


def explain_prompt_column(error: PredictionError, column: str) -> PredictionError:
    """Return the error of a ``score`` hook that looks for the prompt in another column, with the advice."""
    return PredictionError(
        f"{error.message}. The prompt of a chat is in the column {column!r}: give the name of the column that the "
        "score hook reads as promptColumn in model-metadata.yaml."
    )
