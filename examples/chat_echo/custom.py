"""Chats without a language model: repeats the last message, word by word in a stream. Embeds texts by their letters."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from datarobot_drum.drum.exceptions import CustomHTTPError

NAME = "echo"


def load_model(code_dir: str) -> str:
    """Return the prefix of every reply."""
    return (Path(code_dir) / "greeting.txt").read_text(encoding="utf-8").strip()


def get_supported_llm_models(model: str) -> list[str]:
    """Return the models that the route ``/models`` lists."""
    return [NAME]


def chat(completion_create_params: dict[str, Any], model: str) -> dict[str, Any] | Iterator[dict[str, Any]]:
    """Return an OpenAI chat completion, or its chunks; objects of the openai package are also valid."""
    messages = completion_create_params["messages"]
    text = next((message.get("content") for message in reversed(messages) if message.get("role") == "user"), None)
    if not isinstance(text, str):
        raise CustomHTTPError("There is no user text in the messages.", 400)
    reply = f"{model} {text}"
    return _chunks(reply) if completion_create_params.get("stream") else _completion(reply, messages)


def embed(texts: list[str], model: str, **kwargs: Any) -> list[list[float]]:
    """Return one vector per text: how often each letter occurs in it."""
    return [[float(text.lower().count(letter)) for letter in ascii_lowercase] for text in texts]


def count_tokens(text: str, model: str) -> int:
    """Return the number of tokens, here words, for the usage of embeddings, completions and responses."""
    return len(text.split())


def _completion(reply: str, messages: list[Any]) -> dict[str, Any]:
    prompt_tokens = sum(len(str(message.get("content")).split()) for message in messages)
    completion_tokens = len(reply.split())
    return {
        **_head("chat.completion"),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": reply}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def _chunks(reply: str) -> Iterator[dict[str, Any]]:
    head = _head("chat.completion.chunk")
    for position, word in enumerate(reply.split(" ")):
        delta = {"role": "assistant", "content": word} if position == 0 else {"content": f" {word}"}
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def _head(kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4()}", "object": kind, "created": int(time.time()), "model": NAME}
