"""Memory and order of a large table that is predicted while it is sent back, and of a large body that a hook reads.

``python -m benchmarks.streams``: a csv of 1 GB through ``/predictionsStream/`` as JSON lines, and a body of 2 GB to an
unstructured model that takes it as a file. See README.md beside this file.
"""

import argparse
import hashlib
import http.client
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tests.processes import RunningServer
from tests.resilience.resource_usage import MIB, resident_memory

BLOCK_ROWS = 10_000
PIECE = 1024 * 1024

TABLE_MODEL = """
from pathlib import Path

import pandas as pd

BLOCKS = Path(__file__).parents[1] / "blocks"


def load_model(code_dir):
    return "model"


def score(data, model, **kwargs):
    with BLOCKS.open("ab") as blocks:
        blocks.write(b".")
    return pd.DataFrame({"Predictions": data["a"] * 0.5 + data["b"]})
"""

FILE_MODEL = """
import hashlib


def load_model(code_dir):
    return "model"


def score_unstructured(model, data, *, file, **kwargs):
    digest, size = hashlib.sha256(), 0
    while piece := file.read(1 << 20):
        digest.update(piece)
        size += len(piece)
    return f"{size} {digest.hexdigest()}"
"""


def table_pieces(rows: int) -> Iterator[tuple[bytes, np.ndarray]]:
    """A csv in blocks, with the predictions that each block must get."""
    random = np.random.default_rng(0)
    yield b"a,b,text\n", np.empty(0)
    for begin in range(0, rows, BLOCK_ROWS):
        a = random.normal(size=min(BLOCK_ROWS, rows - begin))
        b = random.integers(0, 1000, size=len(a))
        text = "".join(f"{x!r},{y},{'some text ' * 4}{y}\n" for x, y in zip(a.tolist(), b.tolist(), strict=True))
        yield text.encode(), a * 0.5 + b


def measure_table(megabytes: int, environment: dict[str, str]) -> dict[str, Any]:
    """Send a table, compare every line that comes back, and watch the server from the first to the last of them."""
    rows = megabytes * MIB // 68
    with (
        tempfile.TemporaryDirectory() as folder,
        _server(Path(folder), TABLE_MODEL, "regression", environment) as server,
    ):
        begin = time.monotonic()
        sent = 0
        expected = []
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
        connection.putrequest("POST", "/predictionsStream/")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.putheader("Accept", "application/x-ndjson")
        connection.endheaders()
        for piece, predictions in table_pieces(rows):
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            sent += len(piece)
            expected.append(predictions)
        connection.send(b"0\r\n\r\n")
        received = time.monotonic() - begin
        answer = connection.getresponse()
        first = answer.readline()
        blocks_at_first = (Path(folder) / "blocks").stat().st_size
        start = most = resident_memory(server.process.pid)
        lines = [orjson.loads(first)["prediction"]]
        for number, line in enumerate(answer):
            lines.append(orjson.loads(line)["prediction"])
            if number % 50_000 == 0:
                most = max(most, resident_memory(server.process.pid))
        blocks = (Path(folder) / "blocks").stat().st_size
    return {
        "case": "table",
        "megabytes": round(sent / MIB),
        "rows": rows,
        "equal": bool(np.array_equal(np.array(lines), np.concatenate(expected))),
        "blocks_predicted_when_the_first_line_came": blocks_at_first,
        "blocks": blocks,
        "rss_growth_mib": round((most - start) / MIB, 1),
        "seconds_until_received": round(received, 1),
        "seconds": round(time.monotonic() - begin, 1),
    }


def measure_file(megabytes: int, environment: dict[str, str]) -> dict[str, Any]:
    """Send a body to a hook that reads it as a file."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _server(Path(folder), FILE_MODEL, "unstructured", environment) as server,
    ):
        begin = time.monotonic()
        piece = np.random.default_rng(0).bytes(PIECE)
        digest = hashlib.sha256()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
        connection.putrequest("POST", "/predictUnstructured/")
        connection.putheader("Content-Type", "application/octet-stream")
        connection.putheader("Content-Length", str(megabytes * PIECE))
        connection.endheaders()
        start = most = resident_memory(server.process.pid)
        for number in range(megabytes):
            connection.send(piece)
            digest.update(piece)
            if number % 50 == 0:
                most = max(most, resident_memory(server.process.pid))
        answer = connection.getresponse().read().decode()
        most = max(most, resident_memory(server.process.pid))
    return {
        "case": "file",
        "megabytes": megabytes,
        "equal": answer == f"{megabytes * PIECE} {digest.hexdigest()}",
        "rss_growth_mib": round((most - start) / MIB, 1),
        "seconds": round(time.monotonic() - begin, 1),
    }


def _server(folder: Path, code: str, target_type: str, environment: dict[str, str]) -> RunningServer:
    model = folder / "model"
    model.mkdir()
    (model / "custom.py").write_text(code)
    variables = {
        "DRUM_SERVER_TYPE": "fastapi",
        "DRUM_FASTAPI_MAX_UPLOAD_SIZE": "0",
        "DRUM_SPOOL_DIRECTORY": str(folder),
        "DRUM_LAME_DUCK_SECONDS": "0",
        **environment,
    }
    words = ("--code-dir", model, "--target-type", target_type, "--logging-level", "warning")
    return RunningServer(*words, log=folder / "log", environment=variables)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=int, default=1024, help="MiB of csv, 0 for none")
    parser.add_argument("--file", type=int, default=2048, help="MiB of the body for the unstructured model, 0 for none")
    parser.add_argument("--json", type=Path, default=Path("streams.json"), help="where the figures go")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a variable of the server")
    arguments = parser.parse_args()
    environment = dict(assignment.split("=", 1) for assignment in arguments.set)
    results = []
    if arguments.table:
        results.append(measure_table(arguments.table, environment))
    if arguments.file:
        results.append(measure_file(arguments.file, environment))
    for result in results:
        print(json.dumps(result))
    arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
