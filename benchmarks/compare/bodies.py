"""One table of numbers as each server wants to be asked for it, and its probabilities out of each answer."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Rows = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Dialect:
    """How a server is asked and how it answers.

    Attributes:
        content_type: of the request.
        write: the names and the rows as a body.
        read: the probability of the second class, ``malignant``, for each row of an answer.
    """

    content_type: str
    write: Callable[[Sequence[str], Rows], bytes]
    read: Callable[[Any], list[float]]


def write_csv(names: Sequence[str], rows: Rows) -> bytes:
    lines = [",".join(names), *(",".join(map(repr, row)) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def _write_rows(names: Sequence[str], rows: Rows) -> bytes:
    return json.dumps({"data": rows}).encode()


def _write_split(names: Sequence[str], rows: Rows) -> bytes:
    return json.dumps({"dataframe_split": {"columns": names, "data": rows}}).encode()


def _write_open_inference(names: Sequence[str], rows: Rows) -> bytes:
    flat = [value for row in rows for value in row]
    tensor = {"name": "samples", "shape": [len(rows), len(names)], "datatype": "FP64", "data": flat}
    return json.dumps({"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}).encode()


def _second(pairs: Any) -> list[float]:
    return [float(pair[1]) for pair in pairs]


DRUM = Dialect("text/csv", write_csv, lambda answer: [row["malignant"] for row in answer["predictions"]])
TABLE = Dialect("text/csv", write_csv, lambda answer: [row["malignant"] for row in answer])
PLAIN_ROWS = Dialect("application/json", _write_rows, _second)
NAMED_ROWS = Dialect("application/json", _write_rows, lambda answer: _second(answer["predictions"]))
MLFLOW = Dialect("application/json", _write_split, lambda answer: _second(answer["predictions"]))
OPEN_INFERENCE = Dialect(
    "application/json", _write_open_inference, lambda answer: [float(x) for x in answer["outputs"][0]["data"][1::2]]
)
