"""OpenAI's chat interface: checks requests, encodes completions as JSON or as server-sent events."""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from datarobot_drum.drum.exceptions import InvalidField
from datarobot_drum.drum.iterators import closing_iterator
from datarobot_drum.drum.language_predictors.chat_prompts import message_text
from datarobot_drum.drum.serving.formats.openai_call import OpenAiCall, as_list, read_params
from datarobot_drum.drum.serving.formats.openai_events import ASSOCIATION_ID, chunk_stream, chunk_texts
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits
from datarobot_drum.drum.tracing.spans import annotate


def chat_params(request: ModelRequest, limits: InputLimits = UNLIMITED) -> dict[str, Any]:
    """Parse the body of "create chat completion".

    Raises:
        BadRequest: it is no JSON object with a list of at least one message, each a JSON object.
        UnprocessableInput: it is nested too deeply, or has too many keys.
    """
    params = read_params(request, limits)
    check_messages(params)
    return params


def check_messages(params: Mapping[str, Any]) -> None:
    """Check the messages of a chat request.

    Raises:
        InvalidField: they are no list of at least one message, each a JSON object.
    """
    messages = params.get("messages")
    if not isinstance(messages, list):
        raise InvalidField("messages", "is missing, or not a list.")
    if not messages:
        raise InvalidField("messages", "is an empty list: it needs at least one message.")
    if not all(isinstance(message, dict) for message in messages):
        raise InvalidField("messages", "holds something that is not a JSON object.")


def chat_response(result: Any, call: OpenAiCall) -> ModelResponse:
    """Encode the result of the model's ``chat`` as JSON, or as events if it is an iterator or a stream is wanted.

    Text becomes a completion, text in an iterator its chunks. The first chunk is read here, so an error in it becomes
    an error response.

    Raises:
        PredictionError: the result is no completion.
    """
    association_id = new_association_id()
    if call.wants_stream or isinstance(result, Iterator):
        return chunk_stream(to_chunks(result, call), call, association_id, message_texts(call.params))
    completion = to_completion(result, call)
    completion[ASSOCIATION_ID] = association_id
    call.note_response(completion, completion.get("usage"))
    return ModelResponse(call.encode(completion))


def new_association_id() -> str:
    """Return an id of one response, and add it to the span."""
    association_id = str(uuid.uuid4())
    annotate({ASSOCIATION_ID: association_id})
    return association_id


def message_texts(params: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of the messages of a request."""
    return (message_text(message.get("content")) for message in params["messages"])


def to_completion(result: Any, call: OpenAiCall) -> dict[str, Any]:
    """Return a completion as a dict. A text, or a message of the assistant, is a choice; a list has one per choice.

    Its usage is counted if it has none, and a tokenizer is known.

    Raises:
        PredictionError: the result is none of these.
    """
    completion = _to_completion(result, call)
    if completion.get("usage") is None:
        usage = call.usage(message_texts(call.params), (text for _, text in chunk_texts(completion)))
        if usage is not None:
            completion["usage"] = usage
    return completion


def _to_completion(result: Any, call: OpenAiCall) -> dict[str, Any]:
    items = [result] if isinstance(result, str) else as_list(result)
    if not items:
        document = call.to_dict(result, "a completion")
        if document.get("role") != "assistant" or "choices" in document:
            return document
        items = [document]
    messages = [
        {"role": "assistant", "content": item} if isinstance(item, str) else call.to_dict(item, "a message")
        for item in items
    ]
    choices = [
        {"index": index, "message": message, "finish_reason": "stop", "logprobs": None}
        for index, message in enumerate(messages)
    ]
    return new_document("chat.completion", "chatcmpl", call) | {"choices": choices, "usage": None}


def to_chunks(result: Any, call: OpenAiCall) -> Iterator[dict[str, Any]]:
    """Yield the chunks of the result of ``chat``; one for a result that is no iterator.

    The text items of an iterator become chunks of one completion; the last has the finish reason.

    Raises:
        PredictionError: the result, or an item of the iterator, has no such meaning.
    """
    if not isinstance(result, Iterator):
        completion = to_completion(result, call)
        usage = completion.pop("usage", None)
        yield _as_chunk(completion, call) | ({"usage": usage} if usage and not call.wants_stream_usage else {})
        if usage and call.wants_stream_usage:
            yield {**_as_chunk(completion, call), "choices": [], "usage": usage}
        return
    document = new_document("chat.completion.chunk", "chatcmpl", call)
    role: dict[str, str] = {"role": "assistant"}
    ends_in_text = False
    with closing_iterator(result):
        for item in result:
            ends_in_text = isinstance(item, str)
            if ends_in_text:
                yield {**document, "choices": [_delta_choice({**role, "content": item}, None)]}
                role = {}
            else:
                yield call.to_dict(item, "a chunk")
    if ends_in_text:
        yield {**document, "choices": [_delta_choice({}, "stop")]}


def new_document(kind: str, prefix: str, call: OpenAiCall) -> dict[str, Any]:
    """Return the fields that every completion has."""
    document_id = f"{prefix}-{uuid.uuid4().hex}"
    return {"id": document_id, "object": kind, "created": int(time.time()), "model": call.model_name}


def _delta_choice(delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}


def _as_chunk(completion: dict[str, Any], call: OpenAiCall) -> dict[str, Any]:
    """Convert a completion to the single chunk of a stream."""
    choices = [
        {
            "index": choice.get("index", index),
            "delta": _as_delta(choice.get("message"), call),
            "finish_reason": choice.get("finish_reason"),
            "logprobs": choice.get("logprobs"),
        }
        for index, choice in enumerate(call.to_dict(item, "a choice") for item in completion.get("choices") or [])
    ]
    return {**completion, "object": "chat.completion.chunk", "choices": choices}


def _as_delta(message: Any, call: OpenAiCall) -> dict[str, Any]:
    """Convert a message to a delta, in which tool calls have an index."""
    delta = call.to_dict(message or {}, "a message")
    if delta.get("tool_calls"):
        calls = (call.to_dict(item, "a tool call") for item in delta["tool_calls"])
        delta["tool_calls"] = [{"index": index, **item} for index, item in enumerate(calls)]
    return delta
