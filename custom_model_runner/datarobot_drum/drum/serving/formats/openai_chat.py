"""OpenAI's chat interface: checks requests, encodes completions as JSON or as server-sent events."""

import logging
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from datarobot_drum.drum.exceptions import BadRequest, PredictionError
from datarobot_drum.drum.iterators import close_iterator
from datarobot_drum.drum.language_predictors.hook_results import describe
from datarobot_drum.drum.language_predictors.json_values import encode
from datarobot_drum.drum.serving.errors import openai_error
from datarobot_drum.drum.serving.json_limits import check_json
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse, json_response
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits
from datarobot_drum.drum.tracing.spans import annotate, note_error

EVENT_STREAM = "text/event-stream; charset=utf-8"
STREAM_HEADERS = {
    "Cache-Control": "no-cache",
    # Otherwise nginx buffers the events.
    "X-Accel-Buffering": "no",
}
KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
ASSOCIATION_ID = "datarobot_association_id"
DEFAULT_MODEL_NAME = "datarobot-deployed-llm"
"""The name of the model in a completion made from text, where neither the request nor a parameter names one."""

MODELS_CREATED = 1735689600
"""``created`` of a model that has none."""

logger = logging.getLogger(__name__)


def completion_params(request: ModelRequest, limits: InputLimits = UNLIMITED) -> dict[str, Any]:
    """Parse the body of "create chat completion".

    Raises:
        BadRequest: it is no JSON object with a list of at least one message, each a JSON object.
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
    if not isinstance(params.get("messages"), list):
        raise BadRequest("The field messages is missing, or not a list.")
    if not params["messages"]:
        raise BadRequest("The field messages is an empty list: it needs at least one message.")
    if not all(isinstance(message, dict) for message in params["messages"]):
        raise BadRequest("The field messages holds something that is not a JSON object.")
    return params


def is_chat_request(request: ModelRequest, limits: InputLimits = UNLIMITED) -> bool:
    """Return True for a JSON object with ``messages``: a chat, on a route that also takes rows.

    Raises:
        UnprocessableInput: it is nested too deeply, or has too many keys.
    """
    if request.body is None or request.media_type.essence != "application/json":
        return False
    body = request.body.read()
    request.body.seek(0)
    check_json(body, limits)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(document, dict) and "messages" in document


def chat_attributes(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the span attributes of a request by OpenTelemetry's conventions, without message content."""
    numbers = {name: params.get(name) for name in ("temperature", "top_p", "max_tokens", "frequency_penalty")}
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": _value_if(str, params.get("model")),
        "gen_ai.request.stream": params.get("stream") is True,
        **{f"gen_ai.request.{name}": _value_if((int, float), value) for name, value in numbers.items()},
    }


def _completion_attributes(completion: Mapping[str, Any]) -> dict[str, Any]:
    usage = completion.get("usage")
    tokens = usage if isinstance(usage, Mapping) else {}
    return {
        "gen_ai.response.id": _value_if(str, completion.get("id")),
        "gen_ai.response.model": _value_if(str, completion.get("model")),
        "gen_ai.usage.input_tokens": _value_if(int, tokens.get("prompt_tokens")),
        "gen_ai.usage.output_tokens": _value_if(int, tokens.get("completion_tokens")),
    }


def _value_if(kind: type | tuple[type, ...], value: Any) -> Any:
    """Return ``value`` if a span attribute can hold it, else None."""
    return value if isinstance(value, kind) else None


def chat_response(result: Any, *, wants_stream: bool, model_name: str = DEFAULT_MODEL_NAME) -> ModelResponse:
    """Encode the result of the model's ``chat`` as JSON, or as events if it is an iterator or a stream is wanted.

    Text becomes a completion of the model ``model_name``, text in an iterator its chunks. The first chunk is read here,
    so an error in it becomes an error response.

    Raises:
        PredictionError: the result is no completion.
    """
    association_id = str(uuid.uuid4())
    annotate({ASSOCIATION_ID: association_id})
    if isinstance(result, Iterator):
        return _event_stream(_Events(_Chunks(result, model_name), association_id))
    completion = _as_completion(result, model_name)
    completion[ASSOCIATION_ID] = association_id
    annotate(_completion_attributes(completion))
    if wants_stream:
        return _event_stream(_Events(iter([_as_chunk(completion)]), association_id))
    return ModelResponse(_encode(completion))


def _event_stream(events: Iterator[bytes]) -> ModelResponse:
    return ModelResponse(events, EVENT_STREAM, headers=STREAM_HEADERS, keep_alive=KEEP_ALIVE)


def _as_completion(result: Any, model_name: str) -> dict[str, Any]:
    """Return a completion as a dict; text, or a message of the assistant, is its only choice."""
    message = {"role": "assistant", "content": result} if isinstance(result, str) else _as_dict(result, "a completion")
    if message.get("role") != "assistant" or "choices" in message:
        return message
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return _document("chat.completion", model_name) | {"choices": [choice]}


def _document(kind: str, model_name: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model_name}


class _Chunks(Iterator[Any]):
    """The chunks of a model's iterator. Text becomes chunks of one completion; the last has the finish reason."""

    def __init__(self, items: Iterator[Any], model_name: str) -> None:
        self._items = items
        self._document = _document("chat.completion.chunk", model_name)
        self._ends_in_text = False
        self._has_role = False

    def __next__(self) -> Any:
        ended = object()
        item = next(self._items, ended)
        if item is ended:
            if not self._ends_in_text:
                raise StopIteration
            self._ends_in_text = False
            return self._chunk({}, "stop")
        self._ends_in_text = isinstance(item, str)
        if not isinstance(item, str):
            return item
        role = {} if self._has_role else {"role": "assistant"}
        self._has_role = True
        return self._chunk({**role, "content": item}, None)

    def _chunk(self, delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return {**self._document, "choices": [choice]}

    def close(self) -> None:
        """Close the model's generator, which runs its ``finally`` blocks."""
        close_iterator(self._items)


class _Events(Iterator[bytes]):
    """Encodes chunks as server-sent events and ends with ``[DONE]``, or with an error event."""

    def __init__(self, chunks: Iterator[Any], association_id: str) -> None:
        self._chunks = chunks
        self._association_id = association_id
        self._ended = False
        try:
            self._first: bytes | None = self._event()
        except BaseException:
            self.close()
            raise

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._ended:
            raise StopIteration
        try:
            return self._event()
        except Exception as error:  # model code; the headers are sent, so only an event can report it
            logger.error("A chat stream failed after its first chunk.", exc_info=error)
            note_error(error)
            self._ended = True
            return _as_event({"error": openai_error(error)})

    def _event(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self._ended = True
            return DONE
        document = _as_dict(chunk, "a chunk")
        document[ASSOCIATION_ID] = self._association_id
        return _as_event(document)

    def close(self) -> None:
        """Close the model's generator, which runs its ``finally`` blocks."""
        close_iterator(self._chunks)


def _as_event(document: dict[str, Any]) -> bytes:
    return b"data: " + _encode(document) + b"\n\n"


def _encode(document: dict[str, Any]) -> bytes:
    """Encode model output as JSON, with objects of the OpenAI library at any depth.

    Raises:
        PredictionError: it holds a value that JSON cannot carry.
    """
    try:
        return encode(document)
    except PredictionError as error:
        cause = error.__cause__ or error
        raise PredictionError(f"The chat hook returned a value that JSON cannot carry: {cause}") from error


def _as_dict(value: Any, expected: str) -> dict[str, Any]:
    """Return a mapping or an object of the OpenAI library as a dict of plain values."""
    dump = getattr(value, "model_dump", None)
    mapping = dump(mode="json") if callable(dump) else value
    if not isinstance(mapping, Mapping):
        raise PredictionError(f"The chat hook returned {describe(value)} where {expected} was expected.")
    return dict(mapping)


def _as_chunk(completion: dict[str, Any]) -> dict[str, Any]:
    """Convert a completion to the single chunk of a stream."""
    choices = [
        {
            "index": choice.get("index", index),
            "delta": _as_delta(choice.get("message")),
            "finish_reason": choice.get("finish_reason"),
            "logprobs": choice.get("logprobs"),
        }
        for index, choice in enumerate(_as_dict(item, "a choice") for item in completion.get("choices") or [])
    ]
    return {**completion, "object": "chat.completion.chunk", "choices": choices}


def _as_delta(message: Any) -> dict[str, Any]:
    """Convert a message to a delta, in which tool calls have an index."""
    delta = _as_dict(message or {}, "a message")
    if delta.get("tool_calls"):
        calls = (_as_dict(call, "a tool call") for call in delta["tool_calls"])
        delta["tool_calls"] = [{"index": index, **call} for index, call in enumerate(calls)]
    return delta


def models_response(models: Any) -> ModelResponse:
    """Encode the result of ``get_supported_llm_models`` as OpenAI's list of models.

    Raises:
        PredictionError: it is no list.
    """
    listed = getattr(models, "data", models)
    if isinstance(listed, Mapping) and isinstance(listed.get("data"), list):
        listed = listed["data"]
    if isinstance(listed, str | bytes | Mapping) or not isinstance(listed, Iterable):
        raise PredictionError(f"get_supported_llm_models returned a {type(models).__name__}: it must return a list.")
    return json_response({"object": "list", "data": [_as_model(item) for item in listed]})


def _as_model(item: Any) -> dict[str, Any]:
    """Convert a name, an object or a dict to a model with all fields."""
    known = {"id": item} if isinstance(item, str) else _as_dict(item, "a model")
    return {"object": "model", "created": MODELS_CREATED, "owned_by": "DataRobot", **known}
