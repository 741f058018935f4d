"""OpenAI's Responses API: checks requests, encodes responses as JSON or as server-sent events."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from datarobot_drum.drum.exceptions import InvalidField, PredictionError
from datarobot_drum.drum.iterators import close_iterator, closing_iterator
from datarobot_drum.drum.serving.errors import openai_error
from datarobot_drum.drum.serving.formats.openai_call import OpenAiCall, as_list, read_params
from datarobot_drum.drum.serving.formats.openai_chat import new_association_id, to_chunks
from datarobot_drum.drum.serving.formats.openai_events import ASSOCIATION_ID, as_event, event_stream
from datarobot_drum.drum.serving.formats.openai_response_events import (
    Event,
    ResponseBuilder,
    complete_item,
    new_response,
    response_events,
)
from datarobot_drum.drum.serving.formats.openai_response_input import input_texts
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits

_FINAL = ("response.completed", "response.incomplete", "response.failed")


def response_params(request: ModelRequest, limits: InputLimits = UNLIMITED) -> dict[str, Any]:
    """Parse the body of "create response".

    Raises:
        BadRequest: it is no JSON object, or its input is neither text nor a list of objects.
        UnprocessableInput: it is nested too deeply, or has too many keys.
    """
    params = read_params(request, limits)
    given = params.get("input")
    if given is None and params.get("prompt") is None:
        raise InvalidField("input", "is missing.")
    if isinstance(given, list):
        if not given:
            raise InvalidField("input", "is an empty list: it needs at least one item.")
        if not all(isinstance(item, dict) for item in given):
            raise InvalidField("input", "holds something that is not a JSON object.")
    elif given is not None and not isinstance(given, str):
        raise InvalidField("input", "must be text, or a list of items.")
    return params


def respond_response(result: Any, call: OpenAiCall) -> ModelResponse:
    """Encode the result of the model's ``respond`` or ``chat`` as JSON, or as events if a stream is wanted.

    Text and chat completions become a response, their chunks its events.

    Raises:
        PredictionError: the result is no response.
    """
    events = _Numbered(_events(result, call), new_association_id())
    if call.wants_stream:
        return event_stream(_encoded(events, call), lambda error: _error_event(error, events.count, call))
    response = _final_response(events)
    call.note_response(response, response.get("usage"))
    return ModelResponse(call.encode(response))


class _Numbered(Iterator[Event]):
    """Events with their sequence numbers; those that hold the response add the association id to it."""

    def __init__(self, events: Iterator[Event], association_id: str) -> None:
        self._events = events
        self._association_id = association_id
        self.count = 0

    def __next__(self) -> Event:
        event = {**next(self._events), "sequence_number": self.count}
        self.count += 1
        if isinstance(event.get("response"), Mapping):
            event["response"] = {**event["response"], ASSOCIATION_ID: self._association_id}
        return event

    def close(self) -> None:
        """Close the model's generator, which runs its ``finally`` blocks."""
        close_iterator(self._events)


def _events(result: Any, call: OpenAiCall) -> Iterator[Event]:
    if not isinstance(result, Iterator | str) and not as_list(result):
        result = call.to_dict(result, "a response")
        if isinstance(result.get("output"), list):
            output = [complete_item(call.to_dict(item, "an item of the output")) for item in result["output"]]
            yield from response_events({**new_response(call), **result, "output": output})
            return
        if "choices" not in result and result.get("role") != "assistant":
            raise PredictionError(f"The {call.hook} hook returned a dict that has neither output nor choices.")
    texts = input_texts(call.params)
    chat = replace(call, params={"messages": [{"role": "user", "content": text} for text in texts]})
    builder = ResponseBuilder(call, texts)
    is_native = False
    with closing_iterator(to_chunks(result, chat)) as chunks:
        for chunk in chunks:
            is_native = "choices" not in chunk and isinstance(chunk.get("type"), str)
            if is_native:
                yield chunk  # an event of the model
            else:
                yield from builder.add(chunk)
    if not is_native:
        yield from builder.end()


def _encoded(events: _Numbered, call: OpenAiCall) -> Iterator[bytes]:
    last: Mapping[str, Any] = {}
    with closing_iterator(events):
        for event in call.timed(events):
            last = event.get("response") or last
            yield as_event(call, event, str(event["type"]))
    call.note_response(last, last.get("usage"))


def _final_response(events: Iterator[Event]) -> dict[str, Any]:
    response: dict[str, Any] | None = None
    with closing_iterator(events):
        for event in events:
            if event["type"] in _FINAL:
                response = event["response"]
    if response is None:
        raise PredictionError("The respond hook yielded events without response.completed.")
    return response


def _error_event(error: Exception, number: int, call: OpenAiCall) -> bytes:
    """Return the event of an error; OpenAI's client raises the object ``error``, others read the event."""
    details = openai_error(error)
    code = None if details.get("code") is None else str(details["code"])
    event = {"type": "error", "code": code, "message": details.get("message"), "param": details.get("param")}
    return as_event(call, {**event, "sequence_number": number, "error": details}, "error")
