"""Unstructured requests of models that read texts."""

import json
from typing import Any

from datarobot_drum.drum.exceptions import UnprocessableInput


def read_texts(body: str | bytes, mimetype: str) -> str | list[str]:
    """Return the text of a body, or the text or texts in the JSON document ``{"inputs": ...}``.

    Raises:
        UnprocessableInput: the body has another form.
    """
    inputs = _read_inputs(body) if mimetype == "application/json" else body
    if isinstance(inputs, str) or (isinstance(inputs, list) and all(isinstance(text, str) for text in inputs)):
        return inputs
    raise UnprocessableInput('The body must be a text, or JSON {"inputs": text or a list of texts}.')


def _read_inputs(body: str | bytes) -> Any:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnprocessableInput(f"The body is not valid JSON: {error}.") from error
    if not isinstance(document, dict) or document.keys() != {"inputs"}:
        raise UnprocessableInput('The JSON body must be {"inputs": text}, or a list of texts.')
    return document["inputs"]
