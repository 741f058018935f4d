"""Requests per second of compiled models against the same models as they are, through the FastAPI server.

``python -m benchmarks.compiled``: each model behind two servers, in alternating rounds. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.processes import RunningServer

ROWS = (1, 100)
_TRAINING_ROWS = 1000
_NUMBERS = [f"number_{position}" for position in range(12)]
_TEXTS = ["city", "plan"]


@dataclass(frozen=True)
class Model:
    """A model by name; ``with_texts`` gives it columns of text."""

    name: str
    create: Callable[[], Any]
    with_texts: bool = False


def _mixed() -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    blocks = [("numbers", numbers, _NUMBERS), ("texts", OneHotEncoder(handle_unknown="ignore"), _TEXTS)]
    return make_pipeline(ColumnTransformer(blocks), RandomForestClassifier(200, random_state=0))


def _xgboost() -> Any:
    import xgboost

    return xgboost.XGBClassifier(n_estimators=200, n_jobs=1)


def _lightgbm() -> Any:
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=200, n_jobs=1, verbose=-1)


class _NativeXGBoost:
    """Trains XGBoost's own model."""

    def fit(self, samples: pd.DataFrame, target: pd.Series[int]) -> Any:
        import xgboost

        return xgboost.train({"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(samples, target), 200)


class _NativeLightGBM:
    """Trains LightGBM's own model."""

    def fit(self, samples: pd.DataFrame, target: pd.Series[int]) -> Any:
        import lightgbm

        params = {"objective": "binary", "num_threads": 1, "verbose": -1}
        return lightgbm.train(params, lightgbm.Dataset(samples, target), 200)


MODELS = (
    Model("forest of 200 trees", lambda: RandomForestClassifier(200, random_state=0)),
    Model("gradient boosting", lambda: GradientBoostingClassifier(random_state=0)),
    Model("histogram gradient boosting", lambda: HistGradientBoostingClassifier(random_state=0)),
    Model("scaler, logistic regression", lambda: make_pipeline(StandardScaler(), LogisticRegression())),
    Model("XGBoost", _xgboost),
    Model("LightGBM", _lightgbm),
    Model("native XGBoost", _NativeXGBoost),
    Model("native LightGBM", _NativeLightGBM),
    Model("mixed columns, forest", _mixed, with_texts=True),
)


def table(with_texts: bool) -> pd.DataFrame:
    """Return the training samples, reproducibly."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(_TRAINING_ROWS, len(_NUMBERS))), columns=_NUMBERS)
    for name in _TEXTS if with_texts else ():
        frame[name] = generator.choice(["one", "two", "three"], _TRAINING_ROWS)
    return frame


def save(model: Model, folder: Path) -> None:
    """Train the model and save it."""
    samples = table(model.with_texts)
    noise = np.random.default_rng(1).normal(0, 0.5, len(samples))
    target = (samples[_NUMBERS[0]] * samples[_NUMBERS[1]] + noise > 0).astype(int)
    joblib.dump(model.create().fit(samples, target), folder / "model.joblib")


def measure(model: Model, rounds: int, requests: int) -> list[dict[str, Any]]:
    """Return a row per number of rows: medians of both servers, and the ratios of the rounds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        folder.mkdir()
        save(model, folder)
        with _server(folder, "off") as plain, _server(folder, "exact") as compiled:
            info = _wait_until_compiled(compiled)
            return [_compare(model, rows, plain, compiled, info, rounds, requests) for rows in ROWS]


def _server(folder: Path, mode: str) -> RunningServer:
    environment = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_COMPILE": mode, "DRUM_LAME_DUCK_SECONDS": "0"}
    words = ("--code-dir", folder, "--target-type", "binary", "--logging-level", "warning")
    return RunningServer(*words, log=folder.parent / f"{mode}.log", environment=environment)


def _wait_until_compiled(server: RunningServer, seconds: float = 180.0) -> Any:
    """Return what ``/info/`` says, None if the model is not compiled in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        info = server.client.get("/info/").json()["compiled"]
        if info is not None:
            return info
        time.sleep(0.5)
    return None


def _compare(
    model: Model, rows: int, plain: RunningServer, compiled: RunningServer, info: Any, rounds: int, requests: int
) -> dict[str, Any]:
    body = table(model.with_texts).head(rows).to_csv(index=False).encode()
    responses = {server.client.post("/predict/", content=body).content for server in (plain, compiled)}
    seconds = [
        (_seconds(plain.client, body, requests), _seconds(compiled.client, body, requests)) for _ in range(rounds)
    ]
    ratios = [old / new for old, new in seconds]
    return {
        "model": model.name,
        "rows": rows,
        "plain_ms": 1000 * statistics.median(old for old, _ in seconds),
        "compiled_ms": 1000 * statistics.median(new for _, new in seconds),
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "same_bytes": len(responses) == 1,
        "by": info["by"] if info else "not compiled",
    }


def _seconds(client: httpx.Client, body: bytes, requests: int) -> float:
    """Return the median seconds of a request of one client."""
    taken = []
    for _ in range(requests):
        start = time.perf_counter()
        client.post("/predict/", content=body).raise_for_status()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=40, help="requests of each round")
    parser.add_argument("--only", default="", help="part of a model's name")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    print("| model | rows | as it is, ms | compiled, ms | ratio (range) | by | same bytes |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    found = []
    for model in MODELS:
        if options.only in model.name:
            for row in measure(model, options.rounds, options.requests):
                found.append(row)
                print(_line(row), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


def _line(row: dict[str, Any]) -> str:
    return (
        f"| {row['model']} | {row['rows']} | {row['plain_ms']:.2f} | {row['compiled_ms']:.2f} | {row['ratio']:.1f} "
        f"({row['lowest']:.1f} to {row['highest']:.1f}) | {row['by']} | {'yes' if row['same_bytes'] else 'NO'} |"
    )


if __name__ == "__main__":
    main()
