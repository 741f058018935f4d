"""A model folder that uses what the Python contract has to offer."""

import pickle
from pathlib import Path

from tests.api.models import write_code

SECRET = "the-secret-of-the-hooks"

CODE = '''
"""Below the top of the code dir; its helpers are a module, a package and the folder's own packages."""

import os
import pickle
import threading
from pathlib import Path

import pandas as pd

import own_package.deep.numbers
from . import neighbour
from own_module import BIAS

MAX_CONCURRENCY = 2

calls = []
running = peak = 0
changed = threading.Condition()


def init(code_dir, user_secrets, **kwargs):
    calls.append(("init", sorted(kwargs)))
    secrets.update(user_secrets)


secrets = {}


def load_model(code_dir):
    calls.append(("load_model",))
    weights = [pickle.loads((Path(code_dir) / name).read_bytes()) for name in ("first.pkl", "second.pkl")]
    return [*weights, float((Path(__file__).parent / "data.txt").read_text())]


def score(data, model, user_secrets, **kwargs):
    assert "user_secrets" not in kwargs
    meet(int(data["at_once"].iloc[0]) if "at_once" in data else 1)
    calls.append(("score", len(data)))
    if "spoil" in data:
        return pd.DataFrame({"Predictions": [None] * len(data)})
    if "tell" in data:
        raise ValueError(f"the secret {user_secrets['document']['token']}")
    total = sum(model) + BIAS + neighbour.BIAS + own_package.deep.numbers.BIAS
    facts = {"calls": str(calls[:4]), "secrets": str(sorted(user_secrets)), "peak": peak, "folder": os.getcwd()}
    return pd.DataFrame({"Predictions": [total] * len(data)}).assign(**facts)


def meet(wanted):
    """Wait for others that run at the same time, and remember how many there have been at most."""
    global running, peak
    with changed:
        running += 1
        peak = max(peak, running)
        changed.notify_all()
        changed.wait_for(lambda: peak >= wanted, timeout=20)
        running -= 1
'''

METADATA = """
typeSchema:
  input_requirements:
    - {field: data_types, condition: IN, value: [NUM, CAT]}
    - {field: number_of_columns, condition: LESS_THAN, value: 3}
  output_requirements:
    - {field: contains_missing, condition: EQUALS, value: NEVER}
"""


def write_contract_model(folder: Path) -> Path:
    """A nested ``custom.py``, two artifacts, helpers of all sorts, a schema, and a warm-up sample."""
    inner = write_code(folder / "inner", CODE)
    for number, name in enumerate(("first.pkl", "second.pkl"), start=1):
        (folder / name).write_bytes(pickle.dumps(number))
    (inner / "neighbour.py").write_text("BIAS = 10\n")
    (inner / "data.txt").write_text("0.5")
    (folder / "own_module.py").write_text("from own_package import BIAS\n")
    (folder / "own_package" / "deep").mkdir(parents=True)
    (folder / "own_package" / "__init__.py").write_text("BIAS = 100\n")
    (folder / "own_package" / "deep" / "numbers.py").write_text("from .. import BIAS as OUTER\nBIAS = OUTER * 10\n")
    (folder / "model-metadata.yaml").write_text(METADATA)
    (folder / "warm_up.csv").write_text("x\n" + "1\n" * 7)
    return folder


def write_secrets(folder: Path) -> Path:
    """As Kubernetes mounts them: visible names are links to hidden files."""
    hidden = folder / "..2026_01_01"
    hidden.mkdir(parents=True)
    (hidden / "plain").write_text(SECRET + "\n")
    (folder / "..data").symlink_to(hidden.name)
    (folder / "plain").symlink_to("..data/plain")
    return folder
