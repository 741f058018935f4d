"""What the blocks of a page find in their folder: the files and the server that the page assumes."""

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from tests.docs.blocks import ROOT

_AREA = """import pandas as pd

def load_model(code_dir):
    return "width times height"

def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data["width"] * data["height"]})
"""
_ANY_ROWS = """import numpy as np

def load_model(code_dir):
    return "any rows"

def score(data, model, **kwargs):
    return np.zeros(data.shape[0])
"""
_CHURN = """import numpy as np

def load_model(code_dir):
    return "churn"

def score(data, model, **kwargs):
    return (data["age"] / 100 + (data["city"] == "Oslo") / 10).clip(0, 1).to_numpy()
"""
_CHURN_METADATA = """name: churn
targetType: binary
positiveClassLabel: "yes"
negativeClassLabel: "no"
inputSchema: {age: number, city: text}
"""
_ROWS = "width,height\n2,3\n4,5\n"

Preparation = Callable[[Path], str]
"""Writes the files of a page; the result is what the shell runs before the first block."""


def write(path: Path, text: str) -> None:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def area_model(folder: Path) -> str:
    """Write the model of the README, and rows for it."""
    write(folder / "my-model" / "custom.py", _AREA)
    for name in ("rows.csv", "sample.csv", "data/first.csv", "data/second.csv", "my-model/warm_up.csv"):
        write(folder / name, _ROWS)
    write(folder / "notebook.csv", "Predictions\n6.0\n20.0\n")
    return ""


def nothing(folder: Path) -> str:
    """Write nothing: the page makes all that it needs."""
    return ""


def _training_data(folder: Path) -> str:
    numbers = pd.DataFrame(np.random.default_rng(1).normal(size=(60, 2)), columns=["a", "b"])
    numbers["outcome"] = np.where(numbers["a"] + numbers["b"] > 0, "yes", "no")
    numbers.to_csv(folder / "train.csv", index=False)
    return ""


def _pickle(path: Path, model: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(model))


def _forest(folder: Path) -> str:
    numbers = np.random.default_rng(1).normal(size=(200, 3))
    labels = np.where(numbers.sum(axis=1) > 0, "yes", "no")
    _pickle(folder / "model" / "model.pkl", RandomForestClassifier(20, random_state=1).fit(numbers, labels))
    return ""


def _linear_model(folder: Path) -> str:
    table = pd.DataFrame({"width": [1.0, 2.0, 4.0], "height": [3.0, 3.0, 5.0]})
    _pickle(folder / "model" / "model.pkl", LinearRegression().fit(table, [3.0, 6.0, 20.0]))
    return ""


def _two_models(folder: Path) -> str:
    table = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [3.0, 3.0, 5.0]})
    _pickle(folder / "my-models" / "house" / "model.pkl", LinearRegression().fit(table, [1.0, 2.0, 3.0]))
    _pickle(folder / "my-models" / "flag" / "model.pkl", LogisticRegression().fit(table, ["no", "no", "yes"]))
    write(
        folder / "my-models" / "flag" / "custom.py", "import helper\n\ndef transform(data, model):\n    return data\n"
    )
    write(folder / "my-models" / "flag" / "helper.py", "")
    write(folder / "rows.csv", "a,b\n1,2\n")
    return ""


def _platforms(folder: Path) -> str:
    area_model(folder)
    table = pd.DataFrame({"length": [1.0, 2.0, 4.0], "width": [3.0, 3.0, 5.0]})
    _pickle(folder / "model.pkl", LinearRegression().fit(table, [1.0, 2.0, 3.0]))
    write(folder / "code" / "custom.py", "def post_process(predictions, model):\n    return predictions\n")
    write(folder / "code" / "model-metadata.yaml", "targetType: regression\n")
    return ""


def _checksums(folder: Path) -> str:
    area_model(folder)
    write(folder / "my-model" / "model-metadata.yaml", "targetType: regression\n")
    write(folder / "my-model" / "model.pkl", "")
    return ""


def _all_formats(folder: Path) -> str:
    write(folder / "any-rows" / "custom.py", _ANY_ROWS)
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    table.to_csv(folder / "rows.csv", index=False)
    table.to_parquet(folder / "rows.parquet")
    (folder / "rows.csv.gz").write_bytes(gzip.compress((folder / "rows.csv").read_bytes()))
    write(folder / "rows.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 0.5\n")
    return _server("any-rows", "--target-type regression")


def _churn(folder: Path) -> str:
    write(folder / "churn" / "custom.py", _CHURN)
    write(folder / "churn" / "model-metadata.yaml", _CHURN_METADATA)
    return _server("churn")


def _server(folder: str, arguments: str = "") -> str:
    return f"export URL=http://127.0.0.1:8080\ndrum server --code-dir {folder} {arguments} --address 127.0.0.1:8080\n"


_MLMODEL = """flavors:
  python_function: {loader_module: mlflow.sklearn, model_path: model.pkl}
  sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle}
signature:
  inputs: '[{"type": "long", "name": "area", "required": true}, {"type": "long", "name": "rooms", "required": true}]'
"""


def _mlflow_folder(folder: Path) -> str:
    """Write what ``mlflow.sklearn.save_model`` writes."""
    flats = pd.DataFrame({"area": [40, 60, 80, 100], "rooms": [1, 2, 3, 4]})
    _pickle(folder / "model" / "model.pkl", DecisionTreeRegressor().fit(flats, [200_000, 290_000, 370_000, 455_000]))
    write(folder / "model" / "MLmodel", _MLMODEL)
    return ""


PREPARATIONS: dict[str, Preparation] = {
    "README.md": nothing,
    "docs/commands/new-model-and-fit.md": _training_data,
    "docs/models/compiled-models.md": _forest,
    "docs/models/routed-models.md": _two_models,
    "docs/start/from-mlflow.md": _mlflow_folder,
    "docs/operate/metrics.md": _linear_model,
    "docs/operate/platforms.md": _platforms,
    "docs/operate/security.md": _checksums,
    "docs/serve/routes.md": _all_formats,
    "docs/serve/v2.md": _churn,
}
"""By page. Others get ``area_model``, and those below ``docs/start`` get nothing."""


def prepare(page: Path, folder: Path) -> str:
    """Write what the blocks of a page need; return what the shell runs before them."""
    name = page.relative_to(ROOT).as_posix()
    default = nothing if name.startswith("docs/start/") else area_model
    return PREPARATIONS.get(name, default)(folder)
