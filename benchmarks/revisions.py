"""Compares this checkout with another revision of the project, in alternating rounds of one run.

``python -m benchmarks.revisions REVISION [--rounds 5] [--only NAME ...]``

Each round starts both servers one after the other, in turn first and second, and measures each the same way. The table
gives the median of the ratios round by round, with their range; above 1 this checkout is better.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "examples" / "regression_diabetes"
SECONDS = 3.0
WARM_UP_SECONDS = 1.0
UPLOAD_BYTES = 64 * 1024 * 1024
UPLOADS = 3
COUNTER = """
def load_model(code_dir): return object()
def score_unstructured(model, data, **kwargs): return str(len(data))
"""
SLEEPER = """
import time
def load_model(code_dir): return object()
def score(data, model, **kwargs):
    time.sleep(0.02)
    return data.iloc[:, [0]].rename(columns=lambda _: "Predictions")
"""


@dataclass(frozen=True)
class Checkout:
    """A revision whose files lie in ``folder``."""

    name: str
    folder: Path


@dataclass(frozen=True)
class Measurement:
    """One row of the table. ``measure`` returns a figure of a running server; ``unit`` says what it counts."""

    name: str
    unit: str
    measure: Callable[[Checkout], float]
    lower_is_better: bool = False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(
    checkout: Checkout,
    model: Path = MODEL,
    cores: Sequence[int] = (0,),
    target_type: str = "regression",
    **variables: str,
) -> Iterator[int]:
    """Run a server of ``checkout`` on some of the machine's cores and yield its port, once it is ready."""
    port = free_port()
    command = [sys.executable, "-m", "datarobot_drum", "server", "--address", f"127.0.0.1:{port}"]
    command += ["--code-dir", str(model), "--target-type", target_type, "--logging-level", "warning"]
    own = {"PYTHONPATH": str(checkout.folder / "custom_model_runner"), "DRUM_SERVER_TYPE": "fastapi"}
    environment = {**os.environ, **own, "DRUM_LAME_DUCK_SECONDS": "0", "DRUM_FASTAPI_MAX_UPLOAD_SIZE": "0", **variables}
    former = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        process = subprocess.Popen(command, env=environment, cwd=checkout.folder)
    finally:
        os.sched_setaffinity(0, former)
    try:
        while status(port, "/readyz") != 200:
            if process.poll() is not None:
                raise RuntimeError(f"{checkout.name} ended with {process.returncode}")
            time.sleep(0.005)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def status(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def request_bytes(body: bytes) -> bytes:
    head = f"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _client(port: int, request: bytes, stop: float, counts: dict[int, int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < stop:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        code = int(head[9:12])
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        if b"connection: close" in head.lower():
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        counts[code] = counts.get(code, 0) + 1
    writer.close()


def rate(port: int, request: bytes, clients: int, seconds: float = SECONDS) -> float:
    """Return responses with status 200 a second of ``clients`` that each send one request after the other."""

    async def run(duration: float) -> dict[int, int]:
        counts: dict[int, int] = {}
        stop = time.monotonic() + duration
        await asyncio.gather(*(_client(port, request, stop, counts) for _ in range(clients)))
        return counts

    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        asyncio.run(run(WARM_UP_SECONDS))
        return asyncio.run(run(seconds)).get(200, 0) / seconds
    finally:
        os.sched_setaffinity(0, cores)


def csv_body(rows: int) -> bytes:
    header, *lines = (MODEL / "sample.csv").read_text().strip().splitlines()
    repeated = [lines[index % len(lines)] for index in range(rows)]
    return ("\n".join([header, *repeated]) + "\n").encode()


def rows_rate(rows: int, clients: int, workers: int = 1) -> Callable[[Checkout], float]:
    def measure(checkout: Checkout) -> float:
        cores = (0, 1) if workers > 1 else (0,)
        with served(checkout, cores=cores, UVICORN_WORKERS=str(workers)) as port:
            return rate(port, request_bytes(csv_body(rows)), clients)

    return measure


def upload_rate(checkout: Checkout) -> float:
    """Return MB/s of uploads to a model that counts their bytes."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "custom.py").write_text(COUNTER)
        with served(checkout, Path(folder), target_type="unstructured") as port:
            start = time.monotonic()
            for _ in range(UPLOADS):
                connection = HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("POST", "/predictUnstructured/", bytes(UPLOAD_BYTES), {"Content-Type": "x/y"})
                if connection.getresponse().read() != str(UPLOAD_BYTES).encode():
                    raise RuntimeError(f"{checkout.name} lost bytes of an upload")
                connection.close()
            return UPLOADS * UPLOAD_BYTES / 1e6 / (time.monotonic() - start)


def overload_rate(checkout: Checkout) -> float:
    """200 clients on four threads that sleep 20 ms a request: at most 200 responses a second."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "custom.py").write_text(SLEEPER)
        with served(checkout, Path(folder), DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT="0.5") as port:
            return rate(port, request_bytes(csv_body(1)), 200)


def start_seconds(checkout: Checkout) -> float:
    start = time.monotonic()
    with served(checkout, cores=(0, 1)):
        return time.monotonic() - start


MEASUREMENTS = (
    Measurement("1 row, 1 client", "responses/s", rows_rate(1, 1)),
    Measurement("1 row, 16 clients", "responses/s", rows_rate(1, 16)),
    Measurement("100 rows, 4 clients", "responses/s", rows_rate(100, 4)),
    Measurement("10,000 rows, 2 clients", "responses/s", rows_rate(10_000, 2)),
    Measurement("upload of 64 MiB", "MB/s", upload_rate),
    Measurement("overload, 200 clients", "responses/s", overload_rate),
    Measurement("start", "s", start_seconds, lower_is_better=True),
    Measurement("two workers, 16 clients", "responses/s", rows_rate(1, 16, workers=2)),
)


def compare(base: Checkout, own: Checkout, measurement: Measurement, rounds: int) -> dict[str, object]:
    figures: dict[str, list[float]] = {base.name: [], own.name: []}
    for number in range(rounds):
        for checkout in (base, own) if number % 2 == 0 else (own, base):
            figures[checkout.name].append(measurement.measure(checkout))
    before, after = figures[base.name], figures[own.name]
    ratios = [a / b if not measurement.lower_is_better else b / a for b, a in zip(before, after, strict=True)]
    return {
        "name": measurement.name,
        "unit": measurement.unit,
        "before": median(before),
        "after": median(after),
        "ratio": median(ratios),
        "range": [min(ratios), max(ratios)],
    }


def _git(*words: str) -> None:
    subprocess.run(["git", *words], cwd=ROOT, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("revision", help="what this checkout is compared with, for example HEAD~3")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[], help="beginnings of the names to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "base"
        subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", str(tree), options.revision], cwd=ROOT, check=True
        )
        try:
            base, own = Checkout("before", tree), Checkout("after", ROOT)
            for measurement in MEASUREMENTS:
                if options.only and not measurement.name.startswith(tuple(options.only)):
                    continue
                print(json.dumps(compare(base, own, measurement, options.rounds)), flush=True)
        finally:
            _git("worktree", "remove", "--force", str(tree))


if __name__ == "__main__":
    main()
