"""Chats without a language model: says what it was told, word by word when a stream is asked for."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import CustomHTTPError

NAME = "echo"


def load_model(code_dir: str) -> str:
    """What every answer begins with."""
    return (Path(code_dir) / "greeting.txt").read_text(encoding="utf-8").strip()


def get_supported_llm_models(model: str) -> list[str]:
    """What the route ``/models`` lists."""
    return [NAME]


def chat(completion_create_params: dict[str, Any], model: str) -> dict[str, Any] | Iterator[dict[str, Any]]:
    """A completion, or the chunks of one, as OpenAI's interface has them; objects of its library would do as well."""
    messages = completion_create_params["messages"]
    said = next((message.get("content") for message in reversed(messages) if message.get("role") == "user"), None)
    if not isinstance(said, str):
        raise CustomHTTPError("There is no text of a user in the messages.", 400)
    answer = f"{model} {said}"
    return _chunks(answer) if completion_create_params.get("stream") else _completion(answer, messages)


def _completion(answer: str, messages: list[Any]) -> dict[str, Any]:
    asked, told = sum(len(str(message.get("content")).split()) for message in messages), len(answer.split())
    return {
        **_head("chat.completion"),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told},
    }


def _chunks(answer: str) -> Iterator[dict[str, Any]]:
    head = _head("chat.completion.chunk")
    for place, word in enumerate(answer.split(" ")):
        delta = {"role": "assistant", "content": word} if place == 0 else {"content": f" {word}"}
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def _head(kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4()}", "object": kind, "created": int(time.time()), "model": NAME}
