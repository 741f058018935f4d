"""A text generation model that serves every kind of request: rows, streams and chats."""

from collections.abc import Mapping
from pathlib import Path

CODE = """
import time
from pathlib import Path

import pandas as pd


def load_model(code_dir):
    return "model"


def score(data, model, **kwargs):
    return pd.DataFrame({"answer": data["x"].map("row {}".format)})


def chat(completion_create_params, model):
    text = completion_create_params["messages"][-1]["content"]
    if completion_create_params.get("stream"):
        return endless() if text == "endless" else map(chunk, text.split(" "))
    raise ValueError(text)


def endless():
    try:
        while True:
            yield chunk("again")
            time.sleep(0.01)
    finally:
        with (Path(__file__).parent / "closed_streams").open("a") as marks:
            marks.write("x")


def chunk(text):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
"""


def write_model(folder: Path, files: Mapping[str, str]) -> Path:
    """Write the model folder, with more files by their names."""
    folder.mkdir(parents=True)
    for name, text in {"custom.py": CODE, **files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def closed_streams(folder: Path) -> int:
    """Return how many endless streams have run their ``finally`` block."""
    marks = folder / "closed_streams"
    return len(marks.read_text()) if marks.exists() else 0
