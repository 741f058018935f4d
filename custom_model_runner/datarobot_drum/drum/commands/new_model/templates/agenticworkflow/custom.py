"""A workflow of steps that ends in a text: here, without a language model."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import pandas as pd

NAME = "agent"

Step = Callable[[str], str]


def load_model(code_dir: str) -> list[Step]:
    """Build your own workflow here; its return value is passed to every other hook."""
    return [_look_up, _respond]


def score(data: pd.DataFrame, model: list[Step], target_name: str) -> pd.DataFrame:
    """Return one text per row, in a column named after the target in model-metadata.yaml (or TARGET_NAME)."""
    return pd.DataFrame({target_name: [_run(model, str(prompt)) for prompt in data["prompt"]]})


def chat(completion_create_params: dict[str, Any], model: list[Step]) -> dict[str, Any]:
    """Return an OpenAI chat completion or its text; for a stream, return a generator of chunks or text.

    It also serves completions and responses. For embeddings, add a hook ``embed(texts, model, **kwargs)``.
    """
    text = _run(model, str(completion_create_params["messages"][-1]["content"]))
    return {
        "id": f"chatcmpl-{uuid.uuid4()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": NAME,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
    }


def _run(steps: list[Step], text: str) -> str:
    for step in steps:
        text = step(text)
    return text


def _look_up(question: str) -> str:
    return f"{len(question.split())} words were given"


def _respond(result: str) -> str:
    return f"I found that {result}."
