"""Memory that each further worker takes, with and without a shared model.

``python -m benchmarks.sharing``: an example model behind 1, 2 and 4 workers. See README.md beside this file.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import httpx
import psutil

from tests.processes import PLAIN, RunningServer

ROOT = Path(__file__).parents[1]
WORKERS = (1, 2, 4)
CLIENTS = 8
MIB = 1024 * 1024


@dataclass(frozen=True)
class Figures:
    """Memory of a whole server in MiB, shared pages counted once: when idle, and after the requests.

    ``own`` is the private memory of a worker after the requests.
    """

    server: str
    shared: bool
    workers: int
    idle: float
    after: float
    own: float


def measure(server: str, shared: bool, workers: int, code_dir: Path, requests: int) -> Figures:
    """Start the server, wait until its memory is stable, send requests, and wait again."""
    environment = {
        "DRUM_SERVER_TYPE": server,
        "DRUM_SHARE_MODEL": str(int(shared)),
        "DRUM_LAME_DUCK_SECONDS": "0",
        "CUSTOM_MODEL_WORKERS": str(workers),
    }
    words = ("--code-dir", code_dir, "--logging-level", "warning")
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningServer(*words, log=Path(folder) / "log", environment=environment) as running,
    ):
        idle = stable_memory(running)
        send_requests(running, (code_dir / "sample.csv").read_bytes(), requests)
        after = stable_memory(running)
        own = sorted(process.memory_full_info().uss / MIB for process in processes(running))
        return Figures(server, shared, workers, idle, after, own[len(own) // 2])


def processes(running: RunningServer) -> list[psutil.Process]:
    """Return all processes of the server."""
    parent = psutil.Process(running.process.pid)
    return [parent, *parent.children(recursive=True)]


def stable_memory(running: RunningServer) -> float:
    """Return the MiB of all processes once their private memory no longer grows."""
    before, now = 0.0, 1.0
    while abs(now - before) > 0.5:
        time.sleep(2.0)
        before, now = now, sum(process.memory_full_info().uss for process in processes(running)) / MIB
    return float(sum(process.memory_full_info().pss for process in processes(running))) / MIB


def send_requests(running: RunningServer, body: bytes, requests: int) -> None:
    """Send each request on a new connection, so that all workers get some."""

    def post(_: int) -> None:
        headers = {"Content-Type": "text/csv", "Connection": "close"}
        client.post("/predict/", content=body, headers=headers).raise_for_status()

    with ThreadPoolExecutor(CLIENTS) as threads, httpx.Client(base_url=running.url, timeout=60.0, **PLAIN) as client:
        list(threads.map(post, range(requests)))


def memory_per_worker(figures: list[Figures], moment: str) -> float:
    """Return the MiB that each worker beyond the second takes; with two there is a supervisor already."""
    totals = {one.workers: float(getattr(one, moment)) for one in figures}
    return (totals[WORKERS[2]] - totals[WORKERS[1]]) / (WORKERS[2] - WORKERS[1])


def table_lines(figures: list[Figures]) -> Iterator[str]:
    """Yield the lines of the table: one per server, with and without sharing."""
    yield "| server | shared | idle, 1 / 2 / 4 workers | after the requests | each further: idle, after | own |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for key in dict.fromkeys((one.server, one.shared) for one in figures):
        group = [one for one in figures if (one.server, one.shared) == key]
        idle, after = (" / ".join(f"{getattr(one, moment):.0f}" for one in group) for moment in ("idle", "after"))
        each = f"{memory_per_worker(group, 'idle'):.0f}, {memory_per_worker(group, 'after'):.0f}"
        last = group[-1]
        shared = "yes" if last.shared else "no"
        yield f"| {last.server} | {shared} | {idle} | {after} | {each} | {last.own:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--example", default="regression_diabetes", help="[regression_diabetes]")
    parser.add_argument("--requests", type=int, default=2000, help="[2000]")
    parser.add_argument("--output", type=Path, help="file for the figures as JSON")
    given = parser.parse_args()
    code_dir = ROOT / "examples" / given.example
    figures = []
    for server, shared, workers in product(("gunicorn", "fastapi"), (False, True), WORKERS):
        figures.append(measure(server, shared, workers, code_dir, given.requests))
        print(figures[-1], file=sys.stderr)
    print("\n".join(table_lines(figures)))
    if given.output:
        given.output.write_text(json.dumps([asdict(one) for one in figures], indent=1))


if __name__ == "__main__":
    main()
