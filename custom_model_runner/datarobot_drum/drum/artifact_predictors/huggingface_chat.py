"""OpenAI's chat requests for a model of transformers: what is read, and the documents that answer them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datarobot_drum.drum.exceptions import BadRequest

_UNSUPPORTED = ("tools", "functions", "logprobs", "response_format", "audio", "logit_bias")
_PENALTIES = ("frequency_penalty", "presence_penalty")
_MAX_STOPS = 4
_MAX_TEMPERATURE = 2


@dataclass(frozen=True)
class ChatRequest:
    """A request, with what all documents of its response have in common."""

    model: str
    params: Mapping[str, Any]
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def wants_stream(self) -> bool:
        return self.params.get("stream") is True

    @property
    def wants_usage(self) -> bool:
        """True if the client asks for a last chunk with the number of tokens."""
        options = self.params.get("stream_options")
        return isinstance(options, Mapping) and options.get("include_usage") is True

    def completion(self, text: str, finish_reason: str, counts: tuple[int, int]) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
        return {**self._document("chat.completion"), "choices": [choice], "usage": _usage(counts)}

    def chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return {**self._document("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self, counts: tuple[int, int]) -> dict[str, Any]:
        return {**self._document("chat.completion.chunk"), "choices": [], "usage": _usage(counts)}

    def _document(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def _usage(counts: tuple[int, int]) -> dict[str, int]:
    prompt, completion = counts
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def read_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the messages with their text.

    Raises:
        BadRequest: a message has no role or something else than text.
    """
    return [_read_message(message) for message in messages]


def _read_message(message: Mapping[str, Any]) -> dict[str, str]:
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        raise BadRequest("A message has no role.")
    if isinstance(content, list):
        texts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
        strings = [text for text in texts if isinstance(text, str)]
        content = "\n".join(strings) if len(strings) == len(texts) else None
    if not isinstance(content, str):
        raise BadRequest(
            f"The content of a message of the role {role[:40]!r} is no text, and the model takes text only."
        )
    return {"role": role, "content": content}


def read_options(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of generation that a request has.

    Raises:
        BadRequest: a value is out of range, or a parameter asks for what the model does not do.
    """
    for name in _UNSUPPORTED:
        if params.get(name) and params[name] != {"type": "text"}:
            raise BadRequest(f"The parameter {name} is not supported by this model.")
    for name in _PENALTIES:
        if params.get(name):
            raise BadRequest(f"The parameter {name} is not supported by this model: leave it out or at 0.")
    if params.get("n") not in (None, 1):
        raise BadRequest("The parameter n must be 1.")
    options = {
        "max_new_tokens": _whole(params, "max_completion_tokens", 1) or _whole(params, "max_tokens", 1),
        "temperature": _number(params, "temperature", _MAX_TEMPERATURE),
        "top_p": _number(params, "top_p", 1),
        "seed": _whole(params, "seed"),
        "stop": _stops(params.get("stop")),
    }
    if options["top_p"] == 0:
        raise BadRequest("The parameter top_p must be above 0.")
    return {name: value for name, value in options.items() if value is not None}


def _whole(params: Mapping[str, Any], name: str, minimum: int | None = None) -> int | None:
    value = params.get(name)
    if value is None:
        return None
    if type(value) is not int or (minimum is not None and value < minimum) or abs(value) >= 1 << 63:
        raise BadRequest(f"The parameter {name} must be a whole number{'' if minimum is None else ' above 0'}.")
    return value


def _number(params: Mapping[str, Any], name: str, maximum: float) -> float | None:
    value = params.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= maximum:
        raise BadRequest(f"The parameter {name} must be a number from 0 to {maximum}.")
    return float(value)


def _stops(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    stops = [value] if isinstance(value, str) else value
    is_valid = isinstance(stops, list) and len(stops) <= _MAX_STOPS
    if not is_valid or not all(isinstance(stop, str) and stop for stop in stops):
        raise BadRequest(f"The parameter stop must be a text, or a list of at most {_MAX_STOPS} texts.")
    return tuple(stops)
