"""The model of the comparison, trained anew in each environment, whose library versions it then belongs to.

``python model.py FOLDER`` writes there:

- ``frame/model.pkl``: a pipeline of StandardScaler and LogisticRegression that was fitted on a table with names;
- ``array/model.joblib``: the same, fitted on an array, for servers that predict from arrays;
- ``names.json``, ``rows.json`` and ``expected.json``: the columns, the rows of the data and the probability of the
  second class for each, as the estimator itself tells it;
- ``versions.json``: what made all that.

Run by the Python of that environment: nothing of this project is imported.
"""

import json
import pickle
import platform
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def train(samples: Any, labels: Any) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(random_state=0)).fit(samples, labels)


def versions() -> dict[str, str]:
    """Python and every package of this environment."""
    packages = {found.metadata["Name"].lower(): found.version for found in distributions()}
    return {"python": platform.python_version(), **dict(sorted(packages.items()))}


def main(folder: Path) -> None:
    data = load_breast_cancer(as_frame=True)
    labels = data.target_names[data.target]
    by_name = train(data.data, labels)
    by_place = train(data.data.to_numpy(), labels)
    for name in ("frame", "array"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "frame" / "model.pkl").write_bytes(pickle.dumps(by_name))
    joblib.dump(by_place, folder / "array" / "model.joblib")
    documents = {
        "names": list(data.data.columns),
        "rows": data.data.to_numpy().tolist(),
        "expected": by_name.predict_proba(data.data)[:, 1].tolist(),
        "versions": versions(),
    }
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
