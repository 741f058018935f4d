"""Broken model folders, each with the first line of its error.

A line may contain ``{folder}``, the model folder; ``{python}``, ``{sklearn}`` and ``{other}``, the versions of Python,
of scikit-learn and of the one that wrote an artifact; ``{kinds}``, the extensions of artifacts.
"""

import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import sklearn
from sklearn.linear_model import LinearRegression, LogisticRegression

from datarobot_drum.drum.artifact_predictors.registry import list_extensions

SCORE = "import pandas as pd\n\ndef score(data, model):\n    return pd.DataFrame({'Predictions': [1.0] * len(data)})\n"
CLASSES = ("x", "y", "z")
OTHER_VERSION = "0" + sklearn.__version__[1:]


@dataclass(frozen=True)
class BrokenModel:
    """``files`` by path: text, or a function that makes bytes. ``line`` is the first line of the error."""

    name: str
    line: str
    files: Mapping[str, str | Callable[[], bytes]]
    target_type: str = "regression"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int = 1

    def write(self, folder: Path) -> Path:
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(dedent(content).encode() if isinstance(content, str) else content())
        return folder

    def error_line(self, folder: Path) -> str:
        return self.line.format(
            folder=folder,
            python=f"{sys.version_info.major}.{sys.version_info.minor}",
            sklearn=sklearn.__version__,
            other=OTHER_VERSION,
            kinds=list_extensions(),
        )


def custom(
    name: str, line: str, code: str, target_type: str = "regression", others: Mapping[str, str] | None = None
) -> BrokenModel:
    """A folder with a ``custom.py`` and perhaps other files."""
    arguments = {"class_labels": ("yes", "no")} if target_type == "multilabel" else {}
    return BrokenModel(name, line, {"custom.py": code, **(others or {})}, target_type, arguments)


def regressor() -> bytes:
    return pickle.dumps(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]))


def regressor_of_other_version() -> bytes:
    """Pickle a regressor with an older version and another class name."""
    dumped = regressor().replace(b"LinearRegression", b"LinearRegressiox")
    return dumped.replace(sklearn.__version__.encode(), OTHER_VERSION.encode())


def classifier() -> bytes:
    return pickle.dumps(LogisticRegression().fit([[1.0], [2.0], [3.0]], CLASSES))


def class_of_a_script() -> bytes:
    return b"c__main__\nMyModel\n."


TRACEBACK = " The traceback is shown with --show-stacktrace."

SCHEMA = """
typeSchema:
  input_requirements:
    - {field: data_types, condition: IN, value: [NUM, TEXT]}
"""

FOLDERS = (
    custom(
        "syntax error",
        "custom.py cannot be imported: custom.py, line 2: SyntaxError: '(' was never closed. Correct that line; this "
        "is Python {python}.",
        "import os\nprint(\n",
    ),
    custom(
        "indentation",
        "custom.py cannot be imported: custom.py, line 2: IndentationError: expected an indented block after function "
        "definition on line 1. Correct that line; this is Python {python}.",
        "def score(data, model):\nreturn data\n",
    ),
    custom(
        "missing package",
        "custom.py cannot be imported: custom.py, line 3: the module missing_package is not installed. Install it "
        "where the server runs, or put its file into the model folder.",
        "import os\n\nimport missing_package.part\n",
    ),
    custom(
        "missing package of a helper",
        "custom.py cannot be imported: helper.py, line 2: the module missing_package is not installed. Install it "
        "where the server runs, or put its file into the model folder.",
        "import helper\n",
        others={"helper.py": "\nfrom missing_package import part\n"},
    ),
    custom(
        "missing name in a package",
        "custom.py cannot be imported: custom.py, line 1: ImportError: cannot import name 'nothing' from 'helper' "
        "({folder}/helper.py). Perhaps another version of that package is installed than the model was written for.",
        "from helper import nothing\n",
        others={"helper.py": ""},
    ),
    custom(
        "error at import",
        f"custom.py cannot be imported: custom.py, line 1: ZeroDivisionError: division by zero.{TRACEBACK}",
        "RATE = 1 / 0\n",
    ),
    custom(
        "hook that is no function",
        "custom.py defines score as a int, but score is a hook: it must be a function score(data, model, **kwargs).",
        "score = 1\n",
    ),
    custom(
        "hook with too few arguments",
        "custom.py, line 2: The hook score(data) cannot be called as score(data, model, **kwargs).",
        "\ndef score(data):\n    return data\n",
    ),
    custom(
        "asynchronous hook",
        "custom.py, line 1: The hook score must be a plain function, not an async one.",
        "async def score(data, model):\n    return data\n",
    ),
    custom(
        "no hook",
        "Nothing predicts: add a score hook or a load_model hook to custom.py, or a model artifact ({kinds}) to the "
        "model folder.",
        "def predict(data, model):\n    return data\n",
    ),
    custom(
        "load_model returns None",
        "custom.py, line 2: The hook load_model returned None: it must return the model.",
        "\ndef load_model(code_dir):\n    model = {}\n",
    ),
    custom(
        "load_model fails",
        "The hook load_model failed: custom.py, line 2: FileNotFoundError: [Errno 2] No such file or directory: "
        f"'{{folder}}/weights.bin'.{TRACEBACK}",
        "def load_model(code_dir):\n    return open(code_dir + '/weights.bin')\n",
    ),
    custom(
        "path relative to the working folder",
        "The hook load_model failed: custom.py, line 2: FileNotFoundError: [Errno 2] No such file or directory: "
        "'weights.bin'. It lies in the model folder, which is not the working folder: join its name to code_dir.",
        "def load_model(code_dir):\n    return open('weights.bin')\n",
        others={"weights.bin": ""},
    ),
    custom(
        "init exits",
        f"The hook init failed: helper.py, line 4: SystemExit: 3.{TRACEBACK}",
        "import helper\n\ndef init(code_dir):\n    helper.end()\n",
        others={"helper.py": "import sys\n\ndef end():\n    sys.exit(3)\n"},
    ),
    custom(
        "unstructured without its hook",
        "A model of target type unstructured needs the hook score_unstructured in custom.py.",
        SCORE,
        "unstructured",
    ),
    custom(
        "transform without its hook",
        "Nothing transforms: there is no model. Add a transform hook to custom.py, or a fitted transformer (.pkl, "
        ".joblib).",
        "def init(code_dir):\n    pass\n",
        "transform",
    ),
    BrokenModel(
        "several custom.py",
        "The model folder holds several custom.py (a/custom.py, b/custom.py): keep one, or put one at the top.",
        {"a/custom.py": SCORE, "b/custom.py": SCORE},
    ),
    BrokenModel(
        "empty folder",
        "There is no model in {folder}: put a custom.py or a model artifact there ({kinds}). It contains notes.txt.",
        {"notes.txt": "later"},
    ),
    BrokenModel(
        "several artifacts",
        "The model folder holds several artifacts (a.pkl, b.PKL): keep one, or add a load_model hook to custom.py.",
        {"a.pkl": regressor, "b.PKL": regressor},
    ),
    BrokenModel(
        "damaged artifact",
        "model.pkl could not be loaded: UnpicklingError: pickle exhausted before end of frame. The file is damaged, or "
        "of another kind than its name says: save the model again.",
        {"model.pkl": lambda: regressor()[:-20]},
    ),
    BrokenModel(
        "artifact of another version",
        "model.pkl could not be loaded: AttributeError: Can't get attribute 'LinearRegressiox' on module "
        "'sklearn.linear_model._base'. scikit-learn {sklearn} has no such name: the model probably needs "
        "another version of it. It was made with scikit-learn {other}, and {sklearn} is "
        "installed: install that version, or train the model with this one.",
        {"model.pkl": regressor_of_other_version},
    ),
    BrokenModel(
        "artifact of a class in a script",
        "model.pkl could not be loaded: AttributeError: module '__main__' has no attribute 'MyModel'. "
        "Its class was defined in a script: move it to custom.py or a module beside it, and pickle again.",
        {"model.pkl": class_of_a_script},
    ),
    BrokenModel(
        "other labels than the estimator's",
        "The estimator's classes ('x', 'y', 'z') are not the class labels ('x', 'y', 'w'): give --class-labels x y z.",
        {"model.pkl": classifier},
        "multiclass",
        {"class_labels": ("x", "y", "w")},
    ),
    custom(
        "wrong return type",
        "The warm-up with warm_up.csv failed: custom.py, line 1: The hook score returned a float: it must return a "
        "pandas DataFrame, or one number per row; several need targetNames in model-metadata.yaml.",
        "def score(data, model):\n    return 1.0\n",
        others={"warm_up.csv": "a\n1\n"},
    ),
    custom(
        "error at warm-up",
        f"The warm-up with warm_up.csv failed: custom.py, line 2: KeyError: 'b'.{TRACEBACK}",
        "def score(data, model):\n    return data['b']\n",
        others={"warm_up.csv": "a\n1\n"},
    ),
    custom(
        "missing column of probabilities",
        "The warm-up with warm_up.csv failed: The hook score returned no column for the class label 'yes'; its columns "
        "are 'no', 'maybe'.",
        "def score(data, model, **kwargs):\n    return data\n",
        "multilabel",
        others={"warm_up.csv": "no,maybe\n1,0\n"},
    ),
    custom(
        "two warm-up samples",
        "The model folder holds several warm-up samples (warm_up.csv, warm_up.mtx): keep one.",
        SCORE,
        others={"warm_up.csv": "a\n1\n", "warm_up.mtx": ""},
    ),
    custom(
        "calls at once",
        "custom.py, line 2: MAX_CONCURRENCY must be a whole number of at least 1, written out: it is read before "
        "custom.py runs.",
        "import os\nMAX_CONCURRENCY = os.cpu_count()\n",
    ),
    BrokenModel(
        "malformed type schema",
        "typeSchema.input_requirements[0] in model-metadata.yaml has the value 'TEXT': use NUM, CAT, TXT, IMG, DATE, "
        "DATE_DURATION.",
        {"custom.py": SCORE, "model-metadata.yaml": SCHEMA},
        exit_code=3,
    ),
)
