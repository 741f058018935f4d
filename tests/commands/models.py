"""Model folders for the tests of the commands."""

from pathlib import Path

TYPES = '''
"""Predicts a third of the number; its extra output shows the column types."""

import pandas as pd


def load_model(code_dir):
    print("model code prints")
    return "model"


def score(data, model, **kwargs):
    types = ",".join(map(str, data.dtypes))
    return pd.DataFrame({"Predictions": data["number"] / 3, "types": types, "row": range(len(data))})
'''

PAIR = """
import pandas as pd


def load_model(code_dir):
    return "model"


def score(data, model, positive_class_label, negative_class_label, **kwargs):
    share = (data["number"] % 10) / 10
    return pd.DataFrame({positive_class_label: share, negative_class_label: 1 - share})
"""

STREAM = """
import pandas as pd


def score_stream(data, model, **kwargs):
    for start in range(0, len(data), 2):
        yield data[["number"]].iloc[start : start + 2].rename(columns={"number": "Predictions"})


def load_model(code_dir):
    return "model"
"""

RAW = """
import pandas as pd


def load_model(code_dir):
    return "model"


def read_input_data(input_binary_data):
    return pd.DataFrame({"x": list(input_binary_data)})


def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data["x"] * 1.0})
"""

UNSTRUCTURED = """
def load_model(code_dir):
    return "model"


def score_unstructured(model, data, query, **kwargs):
    if query.get("format") == "bytes":
        return bytes(range(256))
    if query.get("format") == "stream":
        return (chunk for chunk in ("one ", "two"))
    return f"{type(data).__name__} {data} {kwargs['mimetype']} {sorted(query)}", {"charset": "latin-1"}
"""

LATE_TYPES = '''
"""Extra model output whose types change from block to block."""

import pandas as pd


def load_model(code_dir):
    return "model"


def score(data, model, **kwargs):
    first = data["number"].iloc[0] == 0
    count = [1] * len(data) if first else [1.5] * len(data)
    reason = [None] * len(data) if first else ["because"] * len(data)
    return pd.DataFrame({"Predictions": data["number"] * 1.0, "count": count, "reason": reason})
'''

FAILS_LATE = """
import pandas as pd


def load_model(code_dir):
    return "model"


def score(data, model, **kwargs):
    if data["number"].max() > 10_500:
        raise ValueError("too large")
    return pd.DataFrame({"Predictions": data["number"] * 1.0})
"""

WAITS = '''
"""Signals that it scores the second block, and waits for a signal."""

import time
from pathlib import Path

import pandas as pd


def load_model(code_dir):
    return Path(code_dir).parent


def score(data, model, **kwargs):
    if data["number"].iloc[0]:
        (model / "second-block").touch()
        while True:
            try:
                time.sleep(0.01)
            except BaseException:  # model code that swallows everything
                pass
    return pd.DataFrame({"Predictions": data["number"] * 1.0})
'''


def write_model(folder: Path, code: str) -> Path:
    """Write a model folder below ``folder`` with only a ``custom.py``."""
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "custom.py").write_text(code, encoding="utf-8")
    return model
