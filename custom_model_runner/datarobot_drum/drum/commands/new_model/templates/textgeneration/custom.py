"""Generates text: here, it repeats the prompt."""

import time
import uuid
from typing import Any

import pandas as pd

NAME = "echo"


def load_model(code_dir: str) -> str:
    """Load your own model, or create the client of a remote one; its return value is passed to every other hook."""
    return "You said:"


def score(data: pd.DataFrame, model: str, target_name: str) -> pd.DataFrame:
    """Return one text per row, in a column named after the target in model-metadata.yaml (or TARGET_NAME)."""
    return pd.DataFrame({target_name: [_generate(model, str(prompt)) for prompt in data["prompt"]]})


def chat(completion_create_params: dict[str, Any], model: str) -> dict[str, Any]:
    """Return an OpenAI chat completion or its text; for a stream, return a generator of chunks or text.

    It also serves completions and responses. For embeddings, add a hook ``embed(texts, model, **kwargs)``.
    """
    text = _generate(model, str(completion_create_params["messages"][-1]["content"]))
    return {
        "id": f"chatcmpl-{uuid.uuid4()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": NAME,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
    }


def get_supported_llm_models(model: str) -> list[str]:
    """Return the models that the route ``/models`` lists."""
    return [NAME]


def _generate(model: str, prompt: str) -> str:
    return f"{model} {prompt}"
