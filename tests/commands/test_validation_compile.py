"""``drum validation --compile`` reports what a server would compile."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.process

TABLE = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=["a", "b", "c"])


@pytest.mark.parametrize(("options", "found"), [([], "bit-equal on"), (["DRUM_COMPILE=off"], "DRUM_COMPILE is off")])
def test_the_result_is_in_table_and_report(
    options: list[str], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    model = make_pipeline(StandardScaler(), Ridge()).fit(TABLE, TABLE["a"])
    (tmp_path / "model" / "model.pkl").write_bytes(pickle.dumps(model))
    TABLE.to_csv(tmp_path / "rows.csv", index=False)
    for option in options:
        monkeypatch.setenv(*option.split("="))
    words = ["validation", "--code-dir", "model", "--target-type", "regression", "--input", "rows.csv", "--compile"]
    command = [sys.executable, "-m", "datarobot_drum", *words, "--report", "report.html"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert not done.stderr, done.stderr
    assert "model is compiled" in done.stdout and found in done.stdout
    assert found in (tmp_path / "report.html").read_text(encoding="utf-8")
