"""The steps of one small prediction, each alone and without a server: what there is to save, and where.

``python -m benchmarks.compare.stages FOLDER`` writes medians in microseconds as JSON; ``FOLDER`` was filled by
``model.py``.
"""

import io
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.compare.bodies import write_csv
from benchmarks.compare.environments import Environment
from benchmarks.compare.running import on_cores

ROOT = Path(__file__).parents[2]
REPEATS = 400


def measure_stages(environment: Environment, cores: Sequence[int]) -> dict[str, float]:
    """Each step's name and its median, in microseconds, measured on the server's cores."""
    words = [sys.executable, "-m", "benchmarks.compare.stages", str(environment.files)]
    with on_cores(cores):
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _steps(folder: Path) -> dict[str, Callable[[], Any]]:
    import orjson
    import pandas as pd

    from datarobot_drum.drum.tabular.fast_csv import read_numeric_csv
    from datarobot_drum.drum.tabular.payload import PayloadFormat, StructuredPayload

    names, rows = (json.loads((folder / f"{name}.json").read_text()) for name in ("names", "rows"))
    body = write_csv(names, rows[:1])
    model = pickle.loads((folder / "pipeline" / "frame" / "model.pkl").read_bytes())
    by_place = pickle.loads(pickle.dumps(model))
    del by_place[0].feature_names_in_
    frame = pd.read_csv(io.BytesIO(body))
    array = frame.to_numpy()
    answer = pd.DataFrame(model.predict_proba(frame), columns=model.classes_)
    document = {"predictions": answer.to_dict(orient="records")}
    return {
        "read the row: pandas.read_csv": lambda: pd.read_csv(io.BytesIO(body)),
        "read the row: drum": lambda: read_numeric_csv(StructuredPayload(io.BytesIO(body), PayloadFormat.CSV)),
        "predict_proba on a frame": lambda: model.predict_proba(frame),
        "predict_proba on an array": lambda: by_place.predict_proba(array),
        "build the answer: DataFrame": lambda: pd.DataFrame(array[:, :2], columns=model.classes_),
        "encode the answer: DataFrame.to_json": lambda: answer.to_json(orient="records", double_precision=15),
        "encode the answer: orjson": lambda: orjson.dumps(document),
    }


def _median_microseconds(step: Callable[[], Any]) -> float:
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return 1e6 * median(times)


def main() -> None:
    steps = _steps(Path(sys.argv[1]))
    json.dump({name: _median_microseconds(step) for name, step in steps.items()}, sys.stdout)


if __name__ == "__main__":
    main()
