"""Throughput and answer times of a FastAPI server that predicts a forest for many clients, with and without batches.

``python -m benchmarks.batching``: a forest of 200 trees, 64 clients with one row each. See README.md beside this file.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from benchmarks.crowds import aside
from tests.processes import RunningServer

TREES, CLIENTS = 200, 64
LABELS = ("malignant", "benign")


@dataclass
class Answers:
    """What a crowd was answered while it counted: seconds of each answer, and what was wrong."""

    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Client(asyncio.Protocol):
    """Asks one request after the other over a connection that it keeps; cheap, for it shares the machine."""

    def __init__(self, requests: list[tuple[bytes, float]], answers: Answers, begin: float, end: float) -> None:
        self._requests = requests
        self._answers = answers
        self._begin, self._end = begin, end
        self._count = 0
        self._received = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._count % len(self._requests)][0])

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < int(head.lower().partition(b"content-length:")[2].split(b"\r")[0]):
            return
        now = time.perf_counter()
        if self._begin <= now < self._end:
            self._answers.seconds.append(now - self._sent)
        self._check(head, body)
        self._received = b""
        self._count += 1
        if now < self._end:
            self._ask()

    def _check(self, head: bytes, body: bytes) -> None:
        expected = self._requests[self._count % len(self._requests)][1]
        if b" 200 " not in head.partition(b"\r\n")[0]:
            self._answers.wrong.append(repr(head))
        elif json.loads(body)["predictions"][0][LABELS[1]] != expected:
            self._answers.wrong.append(f"{body!r} for {expected}")


def crowd(port: int, requests: list[tuple[bytes, float]], clients: int, warm: float, seconds: float) -> Answers:
    """Let the clients ask; nothing counts in the first ``warm`` seconds."""
    return asyncio.run(_crowd(port, requests, clients, warm, seconds))


async def _crowd(port: int, requests: list[tuple[bytes, float]], clients: int, warm: float, seconds: float) -> Answers:
    answers = Answers()
    begin = time.perf_counter() + warm
    for number in range(clients):
        own = requests[number % len(requests) :] + requests[: number % len(requests)]
        client = Client(own, answers, begin, begin + seconds)
        await asyncio.get_running_loop().create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.sleep(warm + seconds + 1.0)
    return answers


def write_model(folder: Path) -> list[tuple[bytes, float]]:
    """Train the forest; returns requests of one row each, with the prediction that the forest itself makes."""
    data = load_breast_cancer(as_frame=True)
    forest = RandomForestClassifier(TREES, random_state=0).fit(data.data, data.target)
    folder.mkdir()
    joblib.dump(forest, folder / "forest.pkl")
    probabilities = forest.predict_proba(data.data)[:, 1]
    header = ",".join(data.data.columns)
    rows = [",".join(map(repr, row)) for row in np.asarray(data.data).tolist()]
    return [(_post(f"{header}\n{row}\n"), float(p)) for row, p in zip(rows, probabilities, strict=True)]


def _post(csv: str) -> bytes:
    head = f"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: {len(csv)}\r\n\r\n"
    return (head + csv).encode()


@contextmanager
def _pinned(cores: set[int]) -> Iterator[None]:
    """Processes that start meanwhile run on these cores."""
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores & all_cores or all_cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_cores)


def measure(folder: Path, requests: list[tuple[bytes, float]], plan: argparse.Namespace, size: int) -> dict[str, Any]:
    """One round against a fresh server: on one core, its clients on another."""
    variables = {
        "DRUM_SERVER_TYPE": "fastapi",
        "DRUM_LAME_DUCK_SECONDS": "0",
        "DRUM_FASTAPI_MAX_BATCH_SIZE": str(size),
        **(dict(assignment.split("=", 1) for assignment in plan.set) if size else {}),
    }
    words = ["--target-type", "binary", "--positive-class-label", LABELS[1], "--negative-class-label", LABELS[0]]
    server = RunningServer("--code-dir", folder, *words, log=folder.parent / "log", environment=variables)
    with _pinned({0}):
        server.start()
    try:
        with _pinned({1}):
            answers = asyncio.run(aside(crowd, server.port, requests, plan.clients, plan.warm, plan.seconds))
        batching = server.client.get("/stats/").json().get("batching", {})
    finally:
        server.stop()
    assert not answers.wrong, answers.wrong[:3]
    ordered = sorted(answers.seconds)
    return {
        "batch_size": size,
        "per_second": len(ordered) / plan.seconds,
        "p50_ms": 1000 * ordered[len(ordered) // 2],
        "p99_ms": 1000 * ordered[int(0.99 * len(ordered))],
        "batching": batching,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--size", type=int, default=CLIENTS, help="rows of a batch at most")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("batching.json"), help="where the figures go")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of the batching server")
    plan = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        requests = write_model(Path(folder) / "model")
        for _ in range(plan.rounds):
            for size in (0, plan.size):
                result = measure(Path(folder) / "model", requests, plan, size)
                results.append(result)
                mean = result["batching"].get("mean", 1)
                times = f"p50 {result['p50_ms']:7.1f} ms   p99 {result['p99_ms']:7.1f} ms"
                print(f"batches of {size:3}: {result['per_second']:7.1f} /s   {times}   mean batch {mean}", flush=True)
    medians = [
        statistics.median(result["per_second"] for result in results if result["batch_size"] == size)
        for size in (0, plan.size)
    ]
    print(f"ratio of the medians: {medians[1] / medians[0]:.1f}")
    plan.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
