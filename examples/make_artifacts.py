"""Trains the example models on data of scikit-learn and writes one ``model.pkl`` into each example.

Pickles depend on the library versions that wrote them, so they are made at set-up and never committed. Artifacts that
are up to date are kept.

    python examples/make_artifacts.py [--output FOLDER]
"""

import argparse
import hashlib
import json
import os
import pickle
import platform
import runpy
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent
ARTIFACT = "model.pkl"
STAMP = ".artifacts.json"
LIBRARIES = ("scikit-learn", "numpy", "pandas", "scipy")
RANDOM_STATE = 0

# scikit-learn takes a second to import, so only the trainers import it.


def train_regression_diabetes() -> Any:
    """Train trees on the raw measurements; missing values are replaced by the median."""
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    data = load_diabetes(as_frame=True, scaled=False)
    model = make_pipeline(SimpleImputer(strategy="median"), GradientBoostingRegressor(random_state=RANDOM_STATE))
    return model.fit(data.data, data.target)


def train_multiclass_wine() -> Any:
    """Train a linear model whose classes are texts, ``class_0`` to ``class_2``."""
    from sklearn.datasets import load_wine
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_wine(as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=RANDOM_STATE))
    return model.fit(data.data, data.target_names[data.target])


def train_binary_breast_cancer() -> Any:
    """Train a linear model on the output of the example's own ``transform`` hook."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_breast_cancer(as_frame=True)
    hooks = runpy.run_path(str(EXAMPLES / "binary_breast_cancer" / "custom.py"))
    model = make_pipeline(
        SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(random_state=RANDOM_STATE)
    )
    return model.fit(hooks["transform"](data.data, None), data.target_names[data.target])


def train_transform_scaling() -> Any:
    """Fit a transformer: fills and scales measurements, encodes the sex as two columns."""
    from sklearn.compose import make_column_transformer
    from sklearn.datasets import load_diabetes
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    data = load_diabetes(as_frame=True, scaled=False).data
    model = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), list(data.columns.drop("sex"))),
        (OneHotEncoder(), ["sex"]),
        verbose_feature_names_out=False,
    )
    return model.fit(data)


TRAINERS: Mapping[str, Callable[[], Any]] = {
    "regression_diabetes": train_regression_diabetes,
    "multiclass_wine": train_multiclass_wine,
    "binary_breast_cancer": train_binary_breast_cancer,
    "transform_scaling": train_transform_scaling,
}


def _fingerprint() -> str:
    """Return a hash of all inputs of an artifact: the library versions, this file, the hooks."""
    digest = hashlib.sha256(platform.python_version().encode())
    for library in LIBRARIES:
        digest.update(f" {library} {version(library)}".encode())
    for source in sorted(EXAMPLES.glob("**/*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _read_stamp(folder: Path) -> dict[str, str]:
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _write(path: Path, content: bytes) -> None:
    """Write the file atomically, even with two runs at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


def make_artifacts(folder: Path) -> list[Path]:
    """Make the artifacts below ``folder`` that are not up to date, and return them."""
    fingerprint = _fingerprint()
    stamp = _read_stamp(folder)
    made = []
    for name, train in TRAINERS.items():
        artifact = folder / name / ARTIFACT
        if stamp.get(name) == fingerprint and artifact.is_file():
            continue
        _write(artifact, pickle.dumps(train()))
        stamp[name] = fingerprint
        made.append(artifact)
    if made:
        _write(folder / STAMP, json.dumps(stamp, indent=2, sort_keys=True).encode())
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, default=EXAMPLES, help="folder of the example folders")
    for artifact in make_artifacts(parser.parse_args().output):
        print(f"Made {artifact}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
