"""Bodies for pipelines of transformers, in the form of Hugging Face's inference API.

JSON is ``{"inputs": text or list of texts, "parameters": {...}}``. Any other text is the input itself, and so are the
bytes of an image. The response is what the pipeline returns. Parameters are those of ``_PARAMETERS`` alone: others
could run code or open addresses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from datarobot_drum.drum.artifact_predictors.huggingface_generation import TextGenerator
from datarobot_drum.drum.artifact_predictors.huggingface_inputs import (
    checked_texts,
    decode_base64_image,
    decode_image,
)
from datarobot_drum.drum.artifact_predictors.huggingface_tasks import (
    FEATURES,
    GENERATION,
    IMAGE_CLASSIFICATION,
    TEXT_CLASSIFICATION,
    TOKEN_CLASSIFICATION,
    hypotheses,
    zero_shot_pipeline,
)
from datarobot_drum.drum.exceptions import UnprocessableInput

_JSON = "application/json"


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _one_of(*allowed: str) -> Callable[[Any], bool]:
    return lambda value: value in allowed


def _are_labels(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)


def _is_template(value: Any) -> bool:
    return isinstance(value, str) and value.count("{}") == 1 and value.count("{") == value.count("}") == 1


_FUNCTION = _one_of("softmax", "sigmoid", "none")
_PARAMETERS: dict[str, dict[str, Callable[[Any], bool]]] = {
    TEXT_CLASSIFICATION: {
        "top_k": _is_count,
        "function_to_apply": _FUNCTION,
        "candidate_labels": _are_labels,
        "multi_label": lambda value: isinstance(value, bool),
        "hypothesis_template": _is_template,
    },
    TOKEN_CLASSIFICATION: {"aggregation_strategy": _one_of("none", "simple", "first", "average", "max")},
    IMAGE_CLASSIFICATION: {"top_k": _is_count, "function_to_apply": _FUNCTION},
    FEATURES: {},
    GENERATION: {
        "max_new_tokens": _is_count,
        "temperature": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value >= 0,
        "top_p": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1,
        "seed": lambda value: type(value) is int,
        "stop": lambda value: _is_text(value) or _are_labels(value),
    },
}
"""The parameters of a request by task, with the check of their values."""


class TaskRequests:
    """The unstructured predictions of one pipeline."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._task = pipeline.task

    def respond(self, model: Any, data: str | bytes, *, mimetype: str = "") -> Any:
        """Return what the pipeline returns for a body; stands for the hook ``score_unstructured``.

        Raises:
            UnprocessableInput: the body has another form, or the model does not take its content.
        """
        if mimetype == _JSON or mimetype.endswith("+json"):
            inputs, parameters = self._read_json(data)
        else:
            inputs, parameters = data, {}
        if isinstance(inputs, list):
            return [self._predict(item, parameters) for item in inputs]
        return self._predict(inputs, parameters)

    def _read_json(self, data: str | bytes) -> tuple[Any, dict[str, Any]]:
        try:
            body = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise UnprocessableInput(f"The body is not valid JSON: {error}.") from error
        if not isinstance(body, dict) or "inputs" not in body:
            raise UnprocessableInput('The JSON body must be an object with "inputs": a text, or a list of texts.')
        given = body.get("parameters")
        parameters = {} if given is None else given
        if not isinstance(parameters, dict):
            raise UnprocessableInput("The field parameters must be a JSON object.")
        self._check(parameters)
        return body["inputs"], parameters

    def _check(self, parameters: Mapping[str, Any]) -> None:
        known = _PARAMETERS[self._task]
        for name, value in parameters.items():
            if name not in known:
                raise UnprocessableInput(
                    f"The parameter {name[:40]!r} is not known for {self._task}: use {', '.join(known) or 'none'}."
                )
            if not known[name](value):
                raise UnprocessableInput(f"The parameter {name} has a value that the task does not take.")

    def _predict(self, item: Any, parameters: dict[str, Any]) -> Any:
        if self._task == IMAGE_CLASSIFICATION:
            is_base64 = isinstance(item, str)
            image = decode_base64_image(item, "The image") if is_base64 else decode_image(_as_bytes(item))
            return self._pipeline(image, **parameters)
        if isinstance(item, bytes):
            item = _decode(item)
        if not isinstance(item, str):
            raise UnprocessableInput("The field inputs must be a text, or a list of texts.")
        if self._task == GENERATION:
            return [{"generated_text": TextGenerator(self._pipeline).generate_text(item, parameters)}]
        if "candidate_labels" in parameters:
            return self._classify_zero_shot(item, parameters)
        (text,) = checked_texts(self._pipeline, [item])
        return self._pipeline(text, **{**self._defaults(), **parameters})

    def _defaults(self) -> dict[str, Any]:
        if self._task == TEXT_CLASSIFICATION:
            return {"top_k": None}
        return {"aggregation_strategy": "simple"} if self._task == TOKEN_CLASSIFICATION else {}

    def _classify_zero_shot(self, text: str, parameters: dict[str, Any]) -> Any:
        pairs = hypotheses(parameters["candidate_labels"], parameters.get("hypothesis_template", "This example is {}."))
        (checked,) = checked_texts(self._pipeline, [text], pairs)
        options = {name: value for name, value in parameters.items() if name not in ("top_k", "function_to_apply")}
        try:
            return zero_shot_pipeline(self._pipeline)(checked, **options)
        except ValueError as error:
            raise UnprocessableInput(f"The labels cannot be compared with the text: {error}") from error


def _as_bytes(item: Any) -> bytes:
    if not isinstance(item, bytes):
        raise UnprocessableInput("The field inputs must be an image in Base64, or a list of them.")
    return item


def _decode(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeError as error:
        raise UnprocessableInput("The body is no UTF-8 text: send it with the media type text/plain.") from error
