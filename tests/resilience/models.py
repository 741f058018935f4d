"""The model of these tests: slow, blocked or holding the GIL, as files beside it and columns of the input say."""

from pathlib import Path

CODE = '''
"""Predict the column `x`, or the process id if there is a column `pid`.

Each prediction that starts appends a line to `ran` beside the model's folder. It waits while a file `hold` exists; with
a column `slices` it holds the GIL for 10 ms at a time meanwhile. A column `seconds` lets it sleep. A column `hold_gil`
lets it hold the GIL for that many seconds on end; a file `hold-gil` does so while it loads.
"""

import ctypes
import os
import time
from pathlib import Path

import pandas as pd

# Unlike CDLL, PyDLL does not release the GIL: no other Python thread runs meanwhile.
LIBC = ctypes.PyDLL(None)


def load_model(code_dir):
    folder = Path(code_dir).parent
    if (folder / "hold-gil").exists():
        LIBC.usleep(int(float((folder / "hold-gil").read_text()) * 1e6))
    return folder


def score(data, model, **kwargs):
    with (model / "ran").open("a") as ran:
        ran.write(f"{data['x'].iloc[0]}\\n")
    while (model / "hold").exists():
        if "slices" in data:
            LIBC.usleep(10_000)
        else:
            time.sleep(0.005)
    if "seconds" in data:
        time.sleep(data["seconds"].iloc[0])
    if "hold_gil" in data:
        LIBC.usleep(int(data["hold_gil"].iloc[0] * 1e6))
    return pd.DataFrame({"Predictions": [os.getpid()] * len(data) if "pid" in data else data["x"]})
'''


class ControlledModel:
    """A model folder below ``folder``, and the files beside it that control it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "model"
        self.path.mkdir()
        (self.path / "custom.py").write_text(CODE, encoding="utf-8")
        self._hold = folder / "hold"
        self._hold_gil = folder / "hold-gil"
        self._ran = folder / "ran"

    def hold(self) -> None:
        """Block every prediction that has started or starts from now on."""
        self._hold.touch()

    def release(self) -> None:
        """Let all predictions go on."""
        self._hold.unlink(missing_ok=True)

    def hold_gil_while_loading(self, seconds: float) -> None:
        """Hold the GIL for ``seconds`` whenever the model is loaded."""
        self._hold_gil.write_text(str(seconds), encoding="utf-8")

    @property
    def ran(self) -> list[int]:
        """The ``x`` of every prediction that has started, in order."""
        return [int(line) for line in self._ran.read_text().split()] if self._ran.exists() else []
