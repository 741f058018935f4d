"""The events of OpenAI's Responses API, and the response that they add up to."""

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from datarobot_drum.drum.serving.formats.openai_call import OpenAiCall

Event = dict[str, Any]
"""An event without its sequence number."""

_ECHOED: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""Fields of a response that repeat the request, with their defaults."""

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""The reasons of an incomplete response by the finish reason of a chat."""


def new_response(call: OpenAiCall) -> dict[str, Any]:
    """Return a response without output, with the fields that repeat the request."""
    given = {name: call.params.get(name) for name in _ECHOED}
    return {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": call.model_name,
        "output": [],
        "store": False,
        "usage": None,
        **{name: default if given[name] is None else given[name] for name, default in _ECHOED.items()},
    }


class ResponseBuilder:
    """Turns the chunks of a chat, of its first choice, into the events of a response.

    Args:
        call: the request of the response.
        inputs: the texts of the request, for its usage.
    """

    def __init__(self, call: OpenAiCall, inputs: Iterable[str]) -> None:
        self._call = call
        self._inputs = inputs
        self._response = new_response(call)
        self._has_started = False
        self._open: _Item | None = None
        self._calls: dict[int, _Item] = {}
        self._finish_reason = ""
        self._usage: Any = None

    def add(self, chunk: Mapping[str, Any]) -> Iterator[Event]:
        """Yield the events of a chunk."""
        yield from self._start(chunk)
        self._usage = chunk.get("usage") or self._usage
        for item in chunk.get("choices") or []:
            choice = self._call.to_dict(item, "a choice")
            if choice.get("index") in (None, 0):
                yield from self._add_delta(self._call.to_dict(choice.get("delta") or {}, "a delta"))
                self._finish_reason = choice.get("finish_reason") or self._finish_reason

    def end(self) -> Iterator[Event]:
        """Yield the events after the last chunk."""
        yield from self._start({})
        yield from self._close_item()
        reason = _INCOMPLETE.get(self._finish_reason)
        status = "incomplete" if reason else "completed"
        self._response |= {
            "status": status,
            "incomplete_details": {"reason": reason} if reason else None,
            "usage": self._response_usage(),
        }
        yield {"type": f"response.{status}", "response": dict(self._response)}

    def _start(self, chunk: Mapping[str, Any]) -> Iterator[Event]:
        if self._has_started:
            return
        self._has_started = True
        self._response["model"] = chunk.get("model") or self._response["model"]
        for name in ("created", "in_progress"):
            yield {"type": f"response.{name}", "response": {**self._response, "output": []}}

    def _add_delta(self, delta: Mapping[str, Any]) -> Iterator[Event]:
        for field, kind in (("content", "output_text"), ("refusal", "refusal")):
            if isinstance(delta.get(field), str) and delta[field]:
                yield from self._add_text(kind, delta[field])
        for item in delta.get("tool_calls") or []:
            yield from self._add_call(self._call.to_dict(item, "a tool call"))

    def _add_text(self, kind: str, text: str) -> Iterator[Event]:
        if not isinstance(self._open, _Message) or self._open.kind != kind:
            yield from self._close_item()
            yield from self._open_item(_Message(self._next_index, kind))
        assert self._open is not None
        yield self._open.add(text)

    def _add_call(self, call: Mapping[str, Any]) -> Iterator[Event]:
        index, function = call.get("index") or 0, self._call.to_dict(call.get("function") or {}, "a function")
        if index not in self._calls:
            yield from self._close_item()
            item = _FunctionCall(self._next_index, call.get("id"), function.get("name"))
            self._calls[index] = item
            yield from self._open_item(item)
        if isinstance(function.get("arguments"), str) and function["arguments"]:
            yield self._calls[index].add(function["arguments"])

    @property
    def _next_index(self) -> int:
        return len(self._response["output"])

    def _open_item(self, item: "_Item") -> Iterator[Event]:
        self._open = item
        yield from item.start()

    def _close_item(self) -> Iterator[Event]:
        if self._open is not None:
            self._response["output"].append(self._open.document("completed"))
            yield from self._open.end()
        self._open = None

    def _response_usage(self) -> dict[str, Any] | None:
        usage = self._usage
        if not isinstance(usage, Mapping):
            usage = self._call.usage(self._inputs, _output_texts(self._response["output"]))
        return None if usage is None else _to_response_usage(usage)


def _to_response_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Return the usage of a chat as that of a response."""
    inputs, outputs = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    input_details, output_details = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    cached = input_details.get("cached_tokens") if isinstance(input_details, Mapping) else 0
    reasoning = output_details.get("reasoning_tokens") if isinstance(output_details, Mapping) else 0
    return {
        "input_tokens": inputs,
        "input_tokens_details": {"cached_tokens": cached or 0, "cache_write_tokens": 0},
        "output_tokens": outputs,
        "output_tokens_details": {"reasoning_tokens": reasoning or 0},
        "total_tokens": usage.get("total_tokens") or inputs + outputs,
    }


def _output_texts(output: list[dict[str, Any]]) -> Iterator[str]:
    for item in output:
        yield from (part.get("text") or part.get("refusal") or "" for part in item.get("content", ()))
        yield from (item[name] for name in ("name", "arguments") if item.get(name))


class _Item(ABC):
    """An item of the output while it is streamed."""

    def __init__(self, index: int, prefix: str) -> None:
        self.index = index
        self.id = f"{prefix}_{uuid.uuid4().hex}"
        self.text = ""

    @abstractmethod
    def document(self, status: str) -> dict[str, Any]:
        """Return the item with what has been added so far."""

    def start(self) -> Iterator[Event]:
        """Yield the events that announce the item."""
        yield {"type": "response.output_item.added", "output_index": self.index, "item": self.document("in_progress")}

    def add(self, text: str) -> Event:
        """Add text, and return its event."""
        self.text += text
        return self._event("delta", delta=text)

    def end(self) -> Iterator[Event]:
        """Yield the events that complete the item."""
        yield {"type": "response.output_item.done", "output_index": self.index, "item": self.document("completed")}

    @abstractmethod
    def _event(self, kind: str, **more: Any) -> Event:
        """Return an event about the item's text."""


class _Message(_Item):
    """A message of the assistant with one part: text, or a refusal."""

    def __init__(self, index: int, kind: str) -> None:
        super().__init__(index, "msg")
        self.kind = kind

    def _part(self) -> dict[str, Any]:
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": self.text}
        return {"type": "output_text", "text": self.text, "annotations": [], "logprobs": []}

    def document(self, status: str) -> dict[str, Any]:
        content = [self._part()] if status == "completed" else []
        return {"id": self.id, "type": "message", "role": "assistant", "status": status, "content": content}

    def start(self) -> Iterator[Event]:
        yield from super().start()
        yield self._part_event("added")

    def end(self) -> Iterator[Event]:
        field = "refusal" if self.kind == "refusal" else "text"
        yield self._event("done", **{field: self.text})
        yield self._part_event("done")
        yield from super().end()

    def _part_event(self, name: str) -> Event:
        return {"type": f"response.content_part.{name}", **self._place, "part": self._part()}

    def _event(self, kind: str, **more: Any) -> Event:
        logprobs: dict[str, Any] = {} if self.kind == "refusal" else {"logprobs": []}
        return {"type": f"response.{self.kind}.{kind}", **self._place, **more, **logprobs}

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self.id, "output_index": self.index, "content_index": 0}


class _FunctionCall(_Item):
    """A call of a tool."""

    def __init__(self, index: int, call_id: Any, name: Any) -> None:
        super().__init__(index, "fc")
        self.call_id = call_id or f"call_{uuid.uuid4().hex}"
        self.name = name

    def document(self, status: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "function_call",
            "status": status,
            "call_id": self.call_id,
            "name": self.name,
            "arguments": self.text,
        }

    def end(self) -> Iterator[Event]:
        yield self._event("done", arguments=self.text, name=self.name)
        yield from super().end()

    def _event(self, kind: str, **more: Any) -> Event:
        place = {"item_id": self.id, "output_index": self.index}
        return {"type": f"response.function_call_arguments.{kind}", **place, **more}


def complete_item(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item of a model's output; a message has all fields that clients need."""
    if item.get("type") != "message":
        return item
    parts = item.get("content")
    texts = [{"type": "output_text", "text": parts}] if isinstance(parts, str) else parts or []
    content = [{"annotations": [], **part} if part.get("type") == "output_text" else part for part in texts]
    own = {"id": f"msg_{uuid.uuid4().hex}", "role": "assistant", "status": "completed"}
    return {**own, **{name: value for name, value in item.items() if value is not None}, "content": content}


def response_events(response: Mapping[str, Any]) -> Iterator[Event]:
    """Yield the events of a whole response."""
    started = {**response, "status": "in_progress", "output": []}
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    for index, item in enumerate(response["output"]):
        parts = item.get("content") if item.get("type") == "message" else None
        added = item if parts is None else {**item, "content": [], "status": "in_progress"}
        yield {"type": "response.output_item.added", "output_index": index, "item": added}
        for position, part in enumerate(parts or ()):
            yield from _part_events({"item_id": item.get("id"), "output_index": index, "content_index": position}, part)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    status = response.get("status")
    final = status if status in ("incomplete", "failed") else "completed"
    yield {"type": f"response.{final}", "response": {**response, "status": final}}


def _part_events(place: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[Event]:
    """Yield the events of one part of a whole message."""
    kind = part.get("type")
    field = "refusal" if kind == "refusal" else "text"
    yield {"type": "response.content_part.added", **place, "part": {**part, field: ""}}
    for name, key in (("delta", "delta"), ("done", field)):
        yield {"type": f"response.{kind}.{name}", **place, key: part.get(field), "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}
