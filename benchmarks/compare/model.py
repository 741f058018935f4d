"""The models of the comparison, trained in each environment, with its library versions.

``python model.py FOLDER`` writes there, ``MODEL`` being ``pipeline`` (StandardScaler and LogisticRegression) or
``forest`` (200 trees):

- ``MODEL/frame/model.pkl``: fitted on a table with names;
- ``MODEL/array/model.joblib``: the same, fitted on an array, for servers that predict from arrays;
- ``MODEL/expected.json``: the estimator's own probability of the second class for each row;
- ``names.json`` and ``rows.json``: the columns and the rows of the data;
- ``versions.json``: the package versions.

It runs in that environment and imports nothing of this project.
"""

import json
import pickle
import platform
import sys
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MODELS = {
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression(random_state=0)),
    "forest": lambda: RandomForestClassifier(200, random_state=0),
}


def versions() -> dict[str, str]:
    """Return the versions of Python and every package of this environment."""
    packages = {found.metadata["Name"].lower(): found.version for found in distributions()}
    return {"python": platform.python_version(), **dict(sorted(packages.items()))}


def write_model(folder: Path, make: Callable[[], Any], samples: Any, labels: Any) -> None:
    by_name = make().fit(samples, labels)
    by_position = make().fit(samples.to_numpy(), labels)
    for name in ("frame", "array"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "frame" / "model.pkl").write_bytes(pickle.dumps(by_name))
    joblib.dump(by_position, folder / "array" / "model.joblib")
    (folder / "expected.json").write_text(json.dumps(by_name.predict_proba(samples)[:, 1].tolist()))


def main(folder: Path) -> None:
    data = load_breast_cancer(as_frame=True)
    for name, make in MODELS.items():
        write_model(folder / name, make, data.data, data.target_names[data.target])
    documents = {"names": list(data.data.columns), "rows": data.data.to_numpy().tolist(), "versions": versions()}
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
