"""Chat for a text generation model with a ``score`` hook only: the user's last message is a table of one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datarobot_drum.drum.exceptions import BadRequest, PredictionError
from datarobot_drum.drum.language_predictors.base import Predictions


def last_prompt(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of the last message of the user.

    Raises:
        BadRequest: there is none.
    """
    for message in reversed(messages):
        if message.get("role") == "user" and (text := _text(message.get("content"))):
            return text
    raise BadRequest("The field messages holds no message with the role user and a text.")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str))


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
