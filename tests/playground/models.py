"""One model of each kind behind one server, for the page; names and labels are markup where they may be."""

from pathlib import Path
from typing import Any

import yaml

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
"""Markup that would run a script if the page took a text for markup."""

PRICE = f"""
import pandas as pd

from datarobot_drum.drum.exceptions import CustomHTTPError

PLACES = {{"Oslo": 2.0, "Rome": 1.0}}


def load_model(code_dir):
    return "model"


def score(data, model, **kwargs):
    if data["rooms"].tolist() == [503]:
        raise CustomHTTPError("All instances are busy.", 503, headers={{"Retry-After": "7"}})
    if (data["rooms"] < 0).any():
        raise ValueError("a negative number of rooms")
    note = data[{HOSTILE!r}].fillna("").astype(str).str.len()
    return pd.DataFrame({{"Predictions": data["rooms"] * data["city"].astype(object).map(PLACES).fillna(0.0) + note}})
"""

SPAM = """
import pandas as pd


def load_model(code_dir):
    return "model"


def score(data, model, positive_class_label, negative_class_label, **kwargs):
    share = (data["length"] % 100) / 100
    return pd.DataFrame({positive_class_label: share, negative_class_label: 1 - share})
"""

ANIMAL = """
import pandas as pd


def load_model(code_dir):
    return "model"


def score(data, model, **kwargs):
    cat, hen = (data["legs"] == 4) * 0.75, (data["legs"] == 2) * 0.5 + 0.25
    return pd.DataFrame({"cat": cat, "hen": hen, "fish": 1 - cat - hen})
"""

ODD = """
import pandas as pd


def load_model(code_dir):
    return "model"


def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data["x"] / 100})
"""

TALK = """
import itertools
import time
from pathlib import Path


def load_model(code_dir):
    return Path(code_dir)


def chat(completion_create_params, model):
    text = completion_create_params["messages"][-1]["content"]
    if text == "fail":
        raise ValueError("no words today")
    return _words(text, model)


def _words(text, folder):
    try:
        for word in itertools.cycle(["on"]) if text == "forever" else ["You", " said:", " ", text]:
            yield word
            time.sleep(0.02)
            if text == "break" and word == " said:":
                raise ValueError("lost the thread")
    finally:
        (folder / "ended").touch()
"""

STORY = """
import pandas as pd


def load_model(code_dir):
    return "model"


def score(data, model, target_name, **kwargs):
    return pd.DataFrame({target_name: ["Once upon a time: " + text for text in data["promptText"]]})
"""

FLOW = """
import pandas as pd


def load_model(code_dir):
    return "model"


def score_stream(data, model, **kwargs):
    for text in data["promptText"]:
        yield from [text, " goes", " on"]
"""

WORDS = """
import json


def load_model(code_dir):
    return "model"


def score_unstructured(model, data, query, **kwargs):
    if isinstance(data, bytes):
        return json.dumps({"bytes": len(data)}), {"mimetype": "application/json"}
    return json.dumps({"words": len(data.split()), "text": data}), {"mimetype": "application/json"}
"""

HALF = """
import pandas as pd


def load_model(code_dir):
    return "model"


def transform(data, model):
    return data / 2
"""

LABELS = ["ham", "<b>spam</b>"]

CODE = {
    "price": PRICE, "spam": SPAM, "animal": ANIMAL, "odd": ODD, "talk": TALK, "story": STORY, "flow": FLOW,
    "words": WORDS, "half": HALF,
}  # fmt: skip

METADATA: dict[str, dict[str, Any]] = {
    "price": {
        "targetType": "regression",
        "targetName": "price",
        "inputSchema": {
            "rooms": "number",
            "city": {"type": "category", "categories": ["Oslo", "Rome"]},
            HOSTILE: "text",
            "garden": "boolean",
        },
    },
    "spam": {"targetType": "binary", "positiveClassLabel": LABELS[1], "negativeClassLabel": LABELS[0]},
    "animal": {"targetType": "multiclass", "classLabels": ["cat", "hen", "fish"]},
    "odd": {"targetType": "anomaly"},
    "talk": {"targetType": "textgeneration", "targetName": "reply"},
    "story": {"targetType": "textgeneration", "targetName": "text"},
    "flow": {"targetType": "textgeneration", "targetName": "text"},
    "words": {"targetType": "unstructured"},
    "half": {"targetType": "transform"},
}

SAMPLES = {
    "price": (
        "sample.csv",
        f'rooms,city,"{HOSTILE.replace(chr(34), chr(34) * 2)}",garden\n3,Oslo,,True\n5,Rome,new,False\n',
    ),
    "spam": ("sample.csv", "length\n83\n"),
    "animal": ("sample.csv", "legs\n4\n"),
    "odd": ("sample.csv", "x\n40\n"),
    "talk": ("sample.json", '{"messages": [{"role": "user", "content": "Hello there"}]}'),
    "words": ("sample.txt", "a few words"),
    "half": ("sample.csv", "a,b\n4,6\n"),
}


def write_models(folder: Path, names: tuple[str, ...] = tuple(CODE)) -> Path:
    """Write a routed set with these models, or the only one as a folder of its own."""
    for name in names:
        own = folder / name if len(names) > 1 else folder
        own.mkdir(parents=True, exist_ok=True)
        (own / "custom.py").write_text(CODE[name], encoding="utf-8")
        if name in SAMPLES:
            file, text = SAMPLES[name]
            (own / file).write_text(text, encoding="utf-8")
    if len(names) > 1:
        models = [{"name": name, "path": name, "default": name == names[0], **METADATA[name]} for name in names]
        document = {"name": "everything", "models": models}
    else:
        document = {"name": names[0], **METADATA[names[0]]}
    (folder / "model-metadata.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return folder
