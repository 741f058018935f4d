"""``drum fit``: hook arguments, saved folder, parity check and errors."""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from datarobot_drum.drum.cli import parse_arguments
from datarobot_drum.drum.commands.fit.command import fit
from datarobot_drum.drum.commands.loaded_model import loaded_model
from datarobot_drum.drum.exceptions import DrumError
from datarobot_drum.drum.settings.build import build_model_settings
from tests.cli.commands import drum, write_model

pytestmark = pytest.mark.usefixtures("clean_environment")

PIPELINE = """
import os

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from datarobot_drum import RuntimeParameters


def fit(X, y, output_dir, class_order, row_weights=None):
    print("python:", RuntimeParameters.get("KEY")["apiToken"], flush=True)
    os.system("echo child: s3cret-value >&2")
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return model.fit(X, y, logisticregression__sample_weight=row_weights)
"""

METADATA = """# a comment
name: tumours
runtimeParameterDefinitions:
  - {fieldName: KEY, type: credential}
"""

RECORDING = """
import json
from pathlib import Path


def fit(X, y, output_dir, **kwargs):
    said = {"columns": list(X.columns), "order": kwargs["class_order"]}
    said["y"] = None if y is None else y.to_numpy().tolist()
    said["weights"] = None if kwargs["row_weights"] is None else list(kwargs["row_weights"])
    (Path(output_dir) / "said.json").write_text(json.dumps(said))
"""

MEAN = """
import os
from pathlib import Path

import pandas as pd

import settings


def fit(X, y, output_dir):
    (Path(output_dir) / "mean.txt").write_text(repr(float(y.mean())))


def load_model(code_dir):
    return float((Path(code_dir) / "mean.txt").read_text())


def score(data, model):
    return pd.DataFrame({"Predictions": [model * settings.FACTOR + SHIFT] * len(data)})


SHIFT = 0
"""


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "samples.csv"
    path.write_text("a,b,kind,flag,weight\n1,x,no,1,1\n2,,yes,0,2\n3,z,no,1,1\n4,y,maybe,0,2\n", encoding="utf-8")
    return path


def _fit(tmp_path: Path, code: str, samples: Path, *words: str) -> Path:
    """Train in this process, without serving."""
    model = tmp_path / "model" if (tmp_path / "model").exists() else write_model(tmp_path, code)
    output = tmp_path / "out"
    flags = ["--code-dir", str(model), "--input", str(samples), "--output", str(output), "--skip-predict", *words]
    assert fit(parse_arguments(["fit", *flags])) == 0
    return output


def _said(folder: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((folder / "said.json").read_text())
    return said


@pytest.mark.process
def test_fit_trains_saves_and_serves_a_pipeline_with_target_labels(tmp_path: Path) -> None:
    model = write_model(tmp_path, PIPELINE)
    (model / "model-metadata.yaml").write_text(METADATA)
    (tmp_path / "parameters.yaml").write_text("KEY: {credentialType: api_token, apiToken: s3cret-value}")
    data = load_breast_cancer(as_frame=True)
    frame = data.data.assign(diagnosis=data.target_names[data.target], weight=1.0)
    frame.to_csv(tmp_path / "tumours.csv", index=False)
    words: list[str | Path] = ["--code-dir", model, "--target-type", "binary", "--input", tmp_path / "tumours.csv"]
    words += ["--target", "diagnosis", "--row-weights", "weight", "--output", tmp_path / "out"]
    words += ["--runtime-params-file", tmp_path / "parameters.yaml", "--positive-class-label", "benign"]
    finished = drum("fit", *words, environment={"DRUM_SERVER_TYPE": "fastapi"})
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[:3] == [
        "python: ****",
        f"Trained on 569 rows and saved in {tmp_path / 'out'}: custom.py, model-metadata.yaml, model.pkl, "
        "requirements.txt",
        "Served, it predicts the first 569 rows as in process.",
    ]
    assert finished.stderr == "child: ****\n"
    settings = build_model_settings(parse_arguments(["score", "--code-dir", str(tmp_path / "out")]))
    assert settings.class_labels == ("malignant", "benign")
    with loaded_model(settings) as predictor:
        predictions = predictor.predict(data.data)
    found = np.array(predictions.columns)[predictions.values.argmax(axis=1)]
    assert (found == data.target_names[data.target]).mean() > 0.95
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "out", "parameters.yaml", "tumours.csv"]


@pytest.mark.process
def test_fit_serves_own_artifacts_and_warns_of_differences(tmp_path: Path, samples: Path) -> None:
    model = write_model(tmp_path, MEAN.replace("SHIFT = 0", "SHIFT = os.getpid()"))
    (model / "settings.py").write_text("FACTOR = 2.0\n")
    words: list[str | Path] = ["--code-dir", model, "--target-type", "regression", "--input", samples, "--target", "a"]
    finished = drum("fit", *words, "--output", tmp_path / "new" / "out")
    assert finished.returncode == 0, finished.stderr
    assert "drum: warning: the served model is inconsistent: 4 of 4 rows differ; row 1 is " in finished.stderr
    assert (tmp_path / "new" / "out" / "mean.txt").read_text() == "2.5"


@pytest.mark.process
def test_unservable_model_is_reported_and_kept(tmp_path: Path, samples: Path) -> None:
    model = write_model(tmp_path, "def fit(X, y, output_dir):\n    return {'weights': [1, 2]}\n")
    words: list[str | Path] = ["--code-dir", model, "--target-type", "regression", "--input", samples, "--target", "a"]
    finished = drum("fit", *words, "--output", tmp_path / "out")
    assert finished.returncode == 1
    assert finished.stderr.startswith("drum: error: ") and "dict" in finished.stderr
    assert (tmp_path / "out" / "model.pkl").exists()


@pytest.mark.parametrize(
    ("words", "order", "target"),
    [
        (["binary", "--target", "flag"], ["0", "1"], ["1", "0", "1", "0"]),
        (["binary", "--target", "flag", "--positive-class-label", "0"], ["1", "0"], ["1", "0", "1", "0"]),
        (["binary", "--target", "flag", "--negative-class-label", "1.0"], ["1.0", "0"], ["1.0", "0", "1.0", "0"]),
        (["multiclass", "--target", "kind"], ["maybe", "no", "yes"], ["no", "yes", "no", "maybe"]),
        (
            ["multiclass", "--target", "kind", "--class-labels", "yes", "no", "maybe", "never"],
            ["yes", "no", "maybe", "never"],
            ["no", "yes", "no", "maybe"],
        ),
        (["regression", "--target", "a"], None, [1, 2, 3, 4]),
        (["anomaly"], None, None),
    ],
    ids=["found", "positive", "negative", "multiclass", "given", "regression", "anomaly"],
)
def test_fit_hook_gets_target_as_class_labels(
    tmp_path: Path, samples: Path, words: list[str], order: list[str] | None, target: list[Any] | None
) -> None:
    folder = _fit(tmp_path, RECORDING, samples, "--target-type", *words)
    said = _said(folder)
    assert (said["order"], said["y"], said["weights"]) == (order, target, None)
    settings = build_model_settings(parse_arguments(["score", "--code-dir", str(folder)]))
    assert (settings.target_type.value, list(settings.class_labels) or None) == (words[0], order)


def test_target_and_weights_are_removed_from_features(tmp_path: Path, samples: Path) -> None:
    words = ["--target-type", "regression", "--target", "a", "--row-weights", "weight"]
    said = _said(_fit(tmp_path, RECORDING, samples, *words))
    assert (said["columns"], said["weights"]) == (["b", "kind", "flag"], [1, 2, 1, 2])


def test_multilabel_target_is_a_table_in_label_order(tmp_path: Path, samples: Path) -> None:
    target = tmp_path / "target.csv"
    target.write_text("red,blue\n1,0\n0,0\n1,1\n0,1\n")
    words = ["--target-type", "multilabel", "--target-csv", str(target), "--class-labels", "blue", "red"]
    said = _said(_fit(tmp_path, RECORDING, samples, *words))
    assert (said["order"], said["y"]) == (["blue", "red"], [[0, 1], [0, 0], [1, 1], [1, 0]])


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_fit_reads_arrow_files(tmp_path: Path, samples: Path, suffix: str) -> None:
    pytest.importorskip("pyarrow")
    frame, path = pd.read_csv(samples), tmp_path / f"samples{suffix}"
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_feather(path)
    said = _said(_fit(tmp_path, RECORDING, path, "--target-type", "regression", "--target", "a"))
    assert said["columns"] == ["b", "kind", "flag", "weight"]


def test_old_artifacts_hidden_files_and_input_are_not_copied(tmp_path: Path, samples: Path) -> None:
    model = write_model(tmp_path, RECORDING)
    for name in ("old.pkl", ".secret", "notes.txt", "package/part.py", "package/__pycache__/part.pyc"):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text("")
    inside = samples.rename(model / "samples.csv")
    folder = _fit(tmp_path, RECORDING, inside, "--target-type", "anomaly")
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    written = {"model-metadata.yaml", "requirements.txt", "said.json"}
    assert names == {"custom.py", "notes.txt", "package/part.py", *written}


def test_fit_writes_the_versions_that_trained_the_model(tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("a,y\n1,0\n2,1\n3,0\n", encoding="utf-8")
    code = (
        "from xgboost import XGBClassifier\ndef fit(X, y, output_dir): return XGBClassifier().fit(X, y.astype(int))\n"
    )
    folder = _fit(tmp_path, code, data, "--target-type", "binary", "--target", "y")
    pins = (folder / "requirements.txt").read_text().splitlines()
    names = {"numpy", "pandas", "scikit-learn", "xgboost-cpu"}
    assert {f"{name}=={version(name)}" for name in names} <= set(pins)
    assert not {pin for pin in pins if pin.startswith(("fastapi", "pytest"))}


def test_fit_keeps_the_requirements_of_the_folder(tmp_path: Path, samples: Path) -> None:
    model = write_model(tmp_path, RECORDING)
    (model / "requirements.txt").write_text("numpy\n")
    folder = _fit(tmp_path, RECORDING, samples, "--target-type", "anomaly")
    assert (folder / "requirements.txt").read_text() == "numpy\n"


METADATA_OF_ANOMALIES = "# kept\nname: x\ntype: inference\ntargetType: anomaly\n"
TYPES = "inputSchema:\n  a: number\n  b: text\n  kind: text\n  flag: number\n  weight: number\n"


def test_types_are_appended_to_complete_metadata(tmp_path: Path, samples: Path) -> None:
    model = write_model(tmp_path, RECORDING)
    (model / "model-metadata.yaml").write_text(METADATA_OF_ANOMALIES)
    assert (_fit(tmp_path, RECORDING, samples) / "model-metadata.yaml").read_text() == METADATA_OF_ANOMALIES + TYPES


def test_complete_metadata_are_not_rewritten(tmp_path: Path, samples: Path) -> None:
    model = write_model(tmp_path, RECORDING)
    text = METADATA_OF_ANOMALIES + TYPES.replace("a: number", "a: text # kept, too")
    (model / "model-metadata.yaml").write_text(text)
    assert (_fit(tmp_path, RECORDING, samples) / "model-metadata.yaml").read_text() == text


@pytest.mark.parametrize(
    ("code", "words", "message"),
    [
        ("x = 1", ["anomaly"], "custom.py has no fit hook: define fit(X, y, output_dir, **kwargs), which"),
        ("def fit(X):\n    pass", ["anomaly"], "custom.py, line 1: The hook fit(X) cannot be called as"),
        (
            "def fit(X, y, output_dir):\n    pass",
            ["anomaly"],
            "The hook fit returned nothing and left output_dir empty",
        ),
        (
            "def fit(X, y, d):\n    return lambda: 0",
            ["anomaly"],
            "The function that the hook fit returned cannot be pick",
        ),
        (
            "\ndef fit(X, y, d):\n    1 / 0",
            ["anomaly"],
            "The hook fit failed: custom.py, line 3: ZeroDivisionError: div",
        ),
        (
            "import nothing_like_it",
            ["anomaly"],
            "custom.py cannot be imported: custom.py, line 1: the module nothing_li",
        ),
        (RECORDING, ["regression"], "A regression model is trained on a target: give --target or --target-csv."),
        (
            RECORDING,
            ["regression", "--target", "A"],
            "--target: the input has no column 'A'; its columns are 'a', 'b',",
        ),
        (RECORDING, ["regression", "--target", "kind"], "The target of a regression model must be numbers, not 'no'."),
        (
            RECORDING,
            ["multiclass", "--target", "b"],
            "The target has 1 missing values: leave out the rows that have no",
        ),
        (
            RECORDING,
            ["binary", "--target", "kind"],
            "The target of a binary model has two classes; this one has 'maybe'",
        ),
        (
            RECORDING,
            ["multiclass", "--target", "kind", "--class-labels", "yes", "no"],
            "The target has 'maybe', but the class labels are 'yes', 'no'.",
        ),
        (
            RECORDING,
            ["binary", "--target", "flag", "--positive-class-label", "good"],
            "The target has the classes '0', '1', not 'good'.",
        ),
        (RECORDING, ["unstructured"], "drum fit trains on rows: an unstructured model has none."),
        (
            RECORDING,
            ["multilabel", "--target", "a"],
            "A multilabel model has a target of one column a label: give --tar",
        ),
    ],
)
def test_failed_training_is_reported_and_leaves_nothing(
    tmp_path: Path, samples: Path, code: str, words: list[str], message: str
) -> None:
    path, custom = list(sys.path), sys.modules.get("custom")  # which an earlier test may have loaded
    with pytest.raises(DrumError) as caught:
        _fit(tmp_path, code, samples, "--target-type", *words)
    assert str(caught.value).startswith(message)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model", "samples.csv"]
    assert sys.path == path and sys.modules.get("custom") is custom


def test_used_output_folder_is_rejected(tmp_path: Path, samples: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(DrumError, match="out is there already: name a new or an empty folder"):
        _fit(tmp_path, RECORDING, samples, "--target-type", "anomaly")
    (tmp_path / "out" / "mine").unlink()
    assert _said(_fit(tmp_path, RECORDING, samples, "--target-type", "anomaly"))["y"] is None
