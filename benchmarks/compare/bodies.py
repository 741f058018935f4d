"""One table of numbers in the request format of each server, and the probabilities in each response format."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Rows = Sequence[Sequence[float]]


@dataclass(frozen=True)
class WireFormat:
    """The request and response format of a server.

    Attributes:
        content_type: of the request.
        write: encodes the names and the rows as a body.
        read: returns the probability of the second class, ``malignant``, for each row of a response.
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


DRUM = WireFormat("text/csv", write_csv, lambda response: [row["malignant"] for row in response["predictions"]])
TABLE = WireFormat("text/csv", write_csv, lambda response: [row["malignant"] for row in response])
PLAIN_ROWS = WireFormat("application/json", _write_rows, _second)
NAMED_ROWS = WireFormat("application/json", _write_rows, lambda response: _second(response["predictions"]))
MLFLOW = WireFormat("application/json", _write_split, lambda response: _second(response["predictions"]))
OPEN_INFERENCE = WireFormat(
    "application/json", _write_open_inference, lambda response: [float(x) for x in response["outputs"][0]["data"][1::2]]
)
