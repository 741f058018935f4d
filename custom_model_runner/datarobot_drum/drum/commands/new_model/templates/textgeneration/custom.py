"""Generates text: here, it says what it was told."""

import time
import uuid
from typing import Any

import pandas as pd

NAME = "echo"


def load_model(code_dir: str) -> str:
    """Load your own model, or make the client of a remote one; every other hook gets what this one returns."""
    return "You said:"


def score(data: pd.DataFrame, model: str, target_name: str) -> pd.DataFrame:
    """One text a row, in a column named as the target in model-metadata.yaml (or by the variable TARGET_NAME)."""
    return pd.DataFrame({target_name: [_generate(model, str(prompt)) for prompt in data["prompt"]]})


def chat(completion_create_params: dict[str, Any], model: str) -> dict[str, Any]:
    """A completion as OpenAI's interface has it; for a stream, return a generator of its chunks."""
    answer = _generate(model, str(completion_create_params["messages"][-1]["content"]))
    return {
        "id": f"chatcmpl-{uuid.uuid4()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": NAME,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}],
    }


def get_supported_llm_models(model: str) -> list[str]:
    """What the route ``/models`` lists."""
    return [NAME]


def _generate(model: str, prompt: str) -> str:
    return f"{model} {prompt}"
