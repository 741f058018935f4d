"""The model of these tests: slow, held or in the way of everybody, as files beside it and columns of the input say."""

from pathlib import Path

OBEDIENT = '''
"""Predicts the column `x`, or the process id if there is a column `pid`.

`ran` beside the model's folder gets a line for every prediction that begins. While there is a file `hold` it waits,
with a column `slices` holding the interpreter for 10 ms at a time. A column `seconds` makes it sleep, a column `grip`
makes it hold the interpreter for as many seconds on end; so does a file `grip-load` while it loads.
"""

import ctypes
import os
import time
from pathlib import Path

import pandas as pd

# Unlike CDLL, PyDLL does not let go of the interpreter: no other Python thread runs meanwhile.
GRIP = ctypes.PyDLL(None)


def load_model(code_dir):
    folder = Path(code_dir).parent
    if (folder / "grip-load").exists():
        GRIP.usleep(int(float((folder / "grip-load").read_text()) * 1e6))
    return folder


def score(data, model, **kwargs):
    with (model / "ran").open("a") as ran:
        ran.write(f"{data['x'].iloc[0]}\\n")
    while (model / "hold").exists():
        if "slices" in data:
            GRIP.usleep(10_000)
        else:
            time.sleep(0.005)
    if "seconds" in data:
        time.sleep(data["seconds"].iloc[0])
    if "grip" in data:
        GRIP.usleep(int(data["grip"].iloc[0] * 1e6))
    return pd.DataFrame({"Predictions": [os.getpid()] * len(data) if "pid" in data else data["x"]})
'''


class ObedientModel:
    """A model folder below ``folder``, and the files beside it that rule it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "model"
        self.path.mkdir()
        (self.path / "custom.py").write_text(OBEDIENT, encoding="utf-8")
        self._hold = folder / "hold"
        self._grip_load = folder / "grip-load"
        self._ran = folder / "ran"

    def hold(self) -> None:
        """Every prediction that has begun, or begins, waits from now on."""
        self._hold.touch()

    def release(self) -> None:
        self._hold.unlink(missing_ok=True)

    def grip_while_loading(self, seconds: float) -> None:
        """Hold the interpreter for so long whenever the model is loaded."""
        self._grip_load.write_text(str(seconds), encoding="utf-8")

    @property
    def ran(self) -> list[int]:
        """The ``x`` of every prediction that has begun, in order."""
        return [int(line) for line in self._ran.read_text().split()] if self._ran.exists() else []
