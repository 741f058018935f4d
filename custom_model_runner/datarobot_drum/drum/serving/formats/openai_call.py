"""One call of OpenAI's interface: its parameters, checked, and what every response to it needs."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from datarobot_drum.drum.exceptions import BadRequest, InvalidField, PredictionError
from datarobot_drum.drum.language_predictors.hook_results import describe
from datarobot_drum.drum.language_predictors.json_values import encode
from datarobot_drum.drum.serving.messages import ModelRequest
from datarobot_drum.drum.serving.metrics.families import (
    CHUNK_SECONDS,
    FIRST_TOKEN_SECONDS,
    TOKEN_DIRECTIONS,
    TOKENS,
)
from datarobot_drum.drum.serving.metrics.recorder import OFF, Recorder
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits
from datarobot_drum.drum.tabular.json_limits import check_json
from datarobot_drum.drum.tracing.spans import annotate

DEFAULT_MODEL_NAME = "datarobot-deployed-llm"
"""The name of the model in a completion made from text, where neither the request nor a parameter names one."""

Usage = dict[str, int]
T = TypeVar("T")


def count_nothing(text: str) -> int | None:
    """Return None: no tokenizer is known."""
    return None


@dataclass(frozen=True)
class OpenAiCall:
    """The parameters of a request, the name of the model in the response, and the model's counter of tokens.

    ``hook`` is the hook that makes the result, for error messages. ``arrived`` is when the request was received, by
    ``time.perf_counter``.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    model_name: str = DEFAULT_MODEL_NAME
    count_tokens: Callable[[str], int | None] = count_nothing
    hook: str = "chat"
    recorder: Recorder = OFF
    arrived: float = 0.0

    @property
    def wants_stream(self) -> bool:
        return self.params.get("stream") is True

    @property
    def wants_stream_usage(self) -> bool:
        """True if the last chunk of a stream has the usage."""
        options = self.params.get("stream_options")
        return isinstance(options, Mapping) and options.get("include_usage") is True

    def count(self, texts: Iterable[str]) -> int | None:
        """Return the number of tokens of all texts; None without a tokenizer."""
        total = 0
        for text in texts:
            number = self.count_tokens(text)
            if number is None:
                return None
            total += number
        return total

    def usage(self, inputs: Iterable[str], outputs: Iterable[str]) -> Usage | None:
        """Return the tokens of a completion; None without a tokenizer."""
        prompt, completion = self.count(inputs), self.count(outputs)
        if prompt is None or completion is None:
            return None
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def note_response(self, document: Mapping[str, Any], usage: Any = None) -> None:
        """Set the span attributes of a response, and count its tokens."""
        tokens: Mapping[str, Any] = usage if isinstance(usage, Mapping) else {}
        received = value_if(int, tokens.get("prompt_tokens", tokens.get("input_tokens")))
        sent = value_if(int, tokens.get("completion_tokens", tokens.get("output_tokens")))
        annotate(
            {
                "gen_ai.response.id": value_if(str, document.get("id")),
                "gen_ai.response.model": value_if(str, document.get("model")),
                "gen_ai.usage.input_tokens": received,
                "gen_ai.usage.output_tokens": sent,
            }
        )
        for direction, count in zip(TOKEN_DIRECTIONS, (received, sent), strict=True):
            if count is not None and count > 0:
                self.recorder.add(TOKENS, count, direction)

    def timed(self, chunks: Iterable[T]) -> Iterator[T]:
        """Yield the chunks of a stream, and record the time to the first one and the time of each later one."""
        start, histogram = self.arrived, FIRST_TOKEN_SECONDS
        for chunk in chunks:
            self.recorder.observe(histogram, time.perf_counter() - start)
            yield chunk
            start, histogram = time.perf_counter(), CHUNK_SECONDS

    def to_dict(self, value: Any, expected: str) -> dict[str, Any]:
        """Return a mapping or an object of the OpenAI library as a dict of plain values.

        Raises:
            PredictionError: it is neither.
        """
        dump = getattr(value, "model_dump", None)
        mapping = dump(mode="json") if callable(dump) else value
        if not isinstance(mapping, Mapping):
            raise PredictionError(f"The {self.hook} hook returned {describe(value)} where {expected} was expected.")
        return dict(mapping)

    def encode(self, document: Mapping[str, Any]) -> bytes:
        """Encode model output as JSON, with objects of the OpenAI library at any depth.

        Raises:
            PredictionError: it holds a value that JSON cannot carry.
        """
        try:
            return encode(document)
        except PredictionError as error:
            cause = error.__cause__ or error
            raise PredictionError(f"The {self.hook} hook returned a value that JSON cannot carry: {cause}") from error


def read_params(request: ModelRequest, limits: InputLimits = UNLIMITED) -> dict[str, Any]:
    """Parse the body of a request, and check the fields that all routes have.

    Raises:
        BadRequest: it is no JSON object, or a field has a wrong type.
        UnprocessableInput: it is nested too deeply, or has too many keys.
    """
    body = request.body.read() if request.body is not None else b""
    check_json(body, limits)
    try:
        params = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not valid JSON: {error}.") from error
    if not isinstance(params, dict):
        raise BadRequest("The body must be a JSON object.")
    for name, kind, expected in (
        ("model", str, "text"),
        ("stream", bool, "true or false"),
        ("stream_options", dict, "an object"),
    ):
        if not isinstance(params.get(name), kind | None):
            raise InvalidField(name, f"must be {expected}.")
    return params


def is_chat_request(request: ModelRequest, limits: InputLimits = UNLIMITED) -> bool:
    """Return True for a JSON object with ``messages``: a chat, on a route that also takes rows.

    Raises:
        UnprocessableInput: it is nested too deeply, or has too many keys.
    """
    if request.body is None or request.media_type.essence != "application/json":
        return False
    return "messages" in _peek(request, limits)


def requested_model(request: ModelRequest, limits: InputLimits = UNLIMITED) -> str | None:
    """Return ``model`` of a request; None if its body names none, or is no such object.

    Raises:
        UnprocessableInput: it is nested too deeply, or has too many keys.
    """
    return value_if(str, _peek(request, limits).get("model"))  # type: ignore[no-any-return]


def _peek(request: ModelRequest, limits: InputLimits) -> dict[str, Any]:
    """Return the JSON object of a body, and rewind it; an empty one if it is none."""
    if request.body is None:
        return {}
    body = request.body.read()
    request.body.seek(0)
    check_json(body, limits)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def as_list(value: Any) -> list[Any] | None:
    """Return a list, tuple, array or Series as a list; None for anything else."""
    if isinstance(value, list | tuple):
        return list(value)
    to_list = getattr(value, "tolist", None)
    items = to_list() if callable(to_list) else None
    return items if isinstance(items, list) else None


def annotate_request(operation: str, params: Mapping[str, Any], **more: Any) -> None:
    """Set the span attributes of a request by OpenTelemetry's conventions, without message content."""
    numbers = ("temperature", "top_p", "max_tokens", "frequency_penalty")
    annotate(
        {
            "gen_ai.operation.name": operation,
            "gen_ai.request.model": value_if(str, params.get("model")),
            "gen_ai.request.stream": params.get("stream") is True,
            **{f"gen_ai.request.{name}": value_if((int, float), params.get(name)) for name in numbers},
            **{f"gen_ai.{name}": value for name, value in more.items()},
        }
    )


def value_if(kind: type | tuple[type, ...], value: Any) -> Any:
    """Return ``value`` if a span attribute can hold it, else None."""
    return value if isinstance(value, kind) else None
