"""Text generation models for the routes of OpenAI's interface; a word in the input selects their behaviour."""

ALL_HOOKS = """
import time
from pathlib import Path

import numpy as np

from datarobot_drum.drum.exceptions import CustomHTTPError


THREAD_SAFE = False


def fail(text):
    if text == "teapot":
        raise CustomHTTPError("short and stout", 418)
    if text == "raise":
        raise ValueError("the model said no")
    return text


def words(text):
    if text.startswith("endless"):
        yield from endless(text)
    for word in text.split(" "):
        yield fail(word) + " "


def endless(mark):
    try:
        while True:
            yield "x" * 1000
            time.sleep(0.01)
    finally:
        with (Path(__file__).parents[1] / "closed").open("a") as closed:
            closed.write(mark + "\\n")


def chat(completion_create_params, model):
    text = completion_create_params["messages"][-1]["content"]
    return words(text) if completion_create_params.get("stream") else fail(text)


def complete(params, model, headers):
    prompt = params["prompt"]
    if isinstance(prompt, list):
        return [str(item) for item in prompt]
    return words(prompt) if params.get("stream") else fail(prompt)


def embed(texts, model, dimensions=None, tokens=None):
    items = tokens if texts is None else [fail(text) for text in texts]
    return np.array([[len(item), 0.1, 1 / 3][:dimensions] for item in items])


def respond(params, model):
    text = params["input"]
    return words(text) if params.get("stream") else fail(text)


def count_tokens(text, model):
    return len(text.split())


def get_supported_llm_models(model):
    return ["meta/tiny", "other"]
"""

ONLY_CHAT = """
TOOL_CALL = {"id": "call-1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}


def chat(completion_create_params, model):
    text = completion_create_params["messages"][-1]["content"]
    if completion_create_params.get("tools"):
        return {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}
    return (word + " " for word in text.split(" "))
"""

ONLY_EMBED = """
def embed(texts, model, **kwargs):
    return [[float(len(text))] for text in texts]
"""
