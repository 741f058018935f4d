"""The input of OpenAI's Responses API as the messages of a chat, for models that chat."""

from collections.abc import Iterator, Mapping
from typing import Any

from datarobot_drum.drum.exceptions import InvalidField

Message = dict[str, Any]

_SAME = ("model", "temperature", "top_p", "stream", "user", "metadata", "parallel_tool_calls", "service_tier")
"""Fields that have the same name and meaning in a chat."""

_STATEFUL = ("previous_response_id", "conversation", "background", "prompt")
"""Fields that need a server that keeps responses, or templates of prompts."""

_TEXT_PARTS = ("input_text", "output_text", "text")


def to_chat_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a chat for those of a response.

    Raises:
        InvalidField: a field has no counterpart in a chat.
    """
    for name in _STATEFUL:
        if params.get(name):
            raise InvalidField(name, "needs a model with a respond hook: this server keeps no responses.")
    chat = {name: params[name] for name in _SAME if params.get(name) is not None}
    chat["messages"] = _messages(params)
    if params.get("stream") is True:
        chat["stream_options"] = {"include_usage": True}
    if params.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = params["max_output_tokens"]
    reasoning, text = (_object(params, name) for name in ("reasoning", "text"))
    if reasoning.get("effort") is not None:
        chat["reasoning_effort"] = reasoning["effort"]
    if isinstance(text.get("format"), Mapping):
        chat["response_format"] = _response_format(text["format"])
    if params.get("tools"):
        chat["tools"] = [_tool(tool) for tool in _tools(params["tools"])]
        if params.get("tool_choice") is not None:
            chat["tool_choice"] = _tool_choice(params["tool_choice"])
    return chat


def input_texts(params: Mapping[str, Any]) -> list[str]:
    """Return the texts of the instructions and of the input, as far as they are known."""
    given = params.get("input")
    items = [given] if isinstance(given, str) else given or []
    return [text for item in (params.get("instructions"), *items) for text in _texts(item)]


def _texts(item: Any) -> Iterator[str]:
    if isinstance(item, str):
        yield item
    elif isinstance(item, list):
        for part in item:
            yield from _texts(part)
    elif isinstance(item, Mapping):
        for name in ("content", "text", "output"):
            yield from _texts(item.get(name))


def _object(params: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = params.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise InvalidField(name, "must be an object.")
    return value or {}


def _messages(params: Mapping[str, Any]) -> list[Message]:
    messages: list[Message] = []
    instructions, given = params.get("instructions"), params.get("input")
    if not isinstance(instructions, str | None):
        raise InvalidField("instructions", "must be text.")
    if given is None:
        raise InvalidField("input", "is missing.")
    if instructions:
        messages.append({"role": "system", "content": instructions})
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        _append(messages, item)
    return messages


def _append(messages: list[Message], item: Mapping[str, Any]) -> None:
    """Add an item of the input to the messages; calls of tools join the message of the assistant before them."""
    kind = item.get("type", "message")
    if kind == "message" and isinstance(item.get("role"), str):
        messages.append({"role": item["role"], "content": _content(item.get("content"))})
    elif kind == "function_call":
        if not messages or messages[-1]["role"] != "assistant":
            messages.append({"role": "assistant", "content": None})
        function = {"name": item.get("name"), "arguments": item.get("arguments")}
        call = {"id": item.get("call_id"), "type": "function", "function": function}
        messages[-1].setdefault("tool_calls", []).append(call)
    elif kind == "function_call_output":
        output = _content(item.get("output"))
        messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": output})
    elif kind != "reasoning":  # a chat has no place for the thoughts of another model
        raise InvalidField("input", f"holds an item of type {kind!r}, which needs a model with a respond hook.")


def _content(content: Any) -> Any:
    """Return the content of a message: text, or parts if there is more than one text."""
    if not isinstance(content, list):
        return content
    parts = [_part(part) for part in content]
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(part: Any) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in _TEXT_PARTS:
        return {"type": "text", "text": part.get("text")}
    if kind == "refusal":
        return {"type": "refusal", "refusal": part.get("refusal")}
    if kind == "input_image" and part.get("image_url"):
        return {"type": "image_url", "image_url": {"url": part["image_url"], "detail": part.get("detail") or "auto"}}
    if kind == "input_file":
        file = {name: part[name] for name in ("file_data", "file_id", "filename") if part.get(name)}
        return {"type": "file", "file": file}
    raise InvalidField("input", f"holds content of type {kind!r}, which needs a model with a respond hook.")


def _response_format(text_format: Mapping[str, Any]) -> dict[str, Any]:
    if text_format.get("type") != "json_schema":
        return dict(text_format)
    schema = {name: value for name, value in text_format.items() if name != "type"}
    return {"type": "json_schema", "json_schema": schema}


def _tools(tools: Any) -> list[Any]:
    if not isinstance(tools, list):
        raise InvalidField("tools", "must be a list.")
    return tools


def _tool(tool: Any) -> dict[str, Any]:
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    if kind != "function":
        raise InvalidField("tools", f"holds a tool of type {kind!r}: without a respond hook, only functions are known.")
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _tool_choice(choice: Any) -> Any:
    if isinstance(choice, Mapping) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice
