"""Throughput with ``DRUM_CONCURRENCY=auto`` against each fixed number of prediction threads, for several models.

``python -m benchmarks.concurrency``: 16 clients, 4 threads, servers on all cores. See README.md beside this file.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.load_generator import in_process
from tests.processes import PLAIN, RunningServer
from tests.resilience.connections import Connection, post, rows

THREADS = 4
ADAPT_SECONDS = 5.0
"""Seconds of load that are not counted: by then the limit must be found."""

POLL_SECONDS = 0.5
SERVICE_SECONDS = 0.05

MODEL = """
import time

import httpx
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor

MATRIX = np.random.default_rng(0).random((400, 400))
CLIENT = httpx.Client(trust_env=False)


def load_model(code_dir):
    generator = np.random.default_rng(0)
    data = generator.random((500, 10))
    return RandomForestRegressor(200, random_state=0).fit(data, data.sum(axis=1))


def compute(seconds_of_python):
    for _ in range(int(seconds_of_python * 20_000)):
        sum(range(100))


def forest(model, data):
    model.predict(MATRIX[:1, :10])


def sleeping(model, data):
    time.sleep(0.05)


def python(model, data):
    compute(0.02)


def matmul(model, data):
    for _ in range(5):
        MATRIX @ MATRIX


def http(model, data):
    CLIENT.get(f"http://127.0.0.1:{int(data['service'].iloc[0])}/").raise_for_status()


def half(model, data):
    time.sleep(0.01)
    compute(0.01)


KINDS = [forest, sleeping, python, matmul, http, half]


def score(data, model, **kwargs):
    KINDS[int(data["kind"].iloc[0])](model, data)
    return pd.DataFrame({"Predictions": data["x"]})
"""
KINDS = ("forest", "sleeping", "python", "matmul", "http", "half")
CHANGES = {"forest-sleeping": ("forest", "sleeping"), "sleeping-forest": ("sleeping", "forest")}


@dataclass(frozen=True)
class Load:
    """Clients that send one row back to back; the kind of each is that of the time: they change it together."""

    port: int
    service: int
    kinds: Sequence[str]
    clients: int
    seconds: float


@dataclass
class Figures:
    """Responses per second after the first seconds of each kind, and the limit twice a second."""

    rates: list[float] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)


def measure(load: Load) -> Figures:
    """Run the load in this process; the service that the model calls runs beside it."""
    return asyncio.run(_measure(load))


async def _measure(load: Load) -> Figures:
    service = await asyncio.start_server(_respond_slowly, "127.0.0.1", load.service)
    start = time.monotonic()
    done: list[float] = []
    figures = Figures()
    polling = asyncio.ensure_future(_poll_limit(load.port, figures.limits))
    await asyncio.gather(*(_run_client(load, number, start, done) for number in range(load.clients)))
    polling.cancel()
    service.close()
    for position in range(len(load.kinds)):
        begin, end = start + position * load.seconds + ADAPT_SECONDS, start + (position + 1) * load.seconds
        figures.rates.append(sum(begin <= at < end for at in done) / (end - begin))
    return figures


async def _run_client(load: Load, number: int, start: float, done: list[float]) -> None:
    connection = await Connection.open(load.port)
    requests = [post(rows(number, kind=float(KINDS.index(kind)), service=load.service)) for kind in load.kinds]
    while (position := int((time.monotonic() - start) / load.seconds)) < len(requests):
        response = await connection.request(requests[position])
        assert response.status == 200, response
        done.append(time.monotonic())
    connection.close()


async def _respond_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readline():
        while (await reader.readline()).strip():
            pass
        await asyncio.sleep(SERVICE_SECONDS)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def _poll_limit(port: int, limits: list[int]) -> None:
    async with httpx.AsyncClient(timeout=60.0, **PLAIN) as client:
        while True:
            stats = (await client.get(f"http://127.0.0.1:{port}/stats/")).json()
            limits.append(stats["executor_concurrency"])
            await asyncio.sleep(POLL_SECONDS)


def start_servers(stack: ExitStack, threads: Sequence[int]) -> dict[str, RunningServer]:
    """Start one server with ``auto`` and one for each fixed number of threads, on all cores."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    model = folder / "model"
    model.mkdir()
    (model / "custom.py").write_text(MODEL)
    variants = {"auto": ("auto", THREADS), **{f"fixed {number}": ("fixed", number) for number in threads}}
    servers = {}
    for name, (mode, number) in variants.items():
        variables = {
            "DRUM_SERVER_TYPE": "fastapi",
            "DRUM_EXECUTOR_WORKERS": str(number),
            "DRUM_CONCURRENCY": mode,
            "DRUM_NUMERIC_THREADS": "1",
            "DRUM_LAME_DUCK_SECONDS": "0",
        }
        words = ("--code-dir", model, "--target-type", "regression", "--logging-level", "warning")
        servers[name] = stack.enter_context(RunningServer(*words, log=folder / name, environment=variables))
    return servers


def run_rounds(servers: dict[str, RunningServer], name: str, arguments: argparse.Namespace) -> dict[str, list[Figures]]:
    """Measure a load on every server in each round, forwards and backwards in turn."""
    figures: dict[str, list[Figures]] = {server: [] for server in servers}
    service = max(server.port for server in servers.values()) + 1
    for number in range(arguments.rounds):
        for server in list(servers) if number % 2 == 0 else list(reversed(servers)):
            kinds = CHANGES.get(name, (name,))
            load = Load(servers[server].port, service, kinds, arguments.clients, arguments.seconds)
            figures[server].append(asyncio.run(in_process(measure, load)))
    return figures


def report(name: str, figures: dict[str, list[Figures]]) -> list[dict[str, Any]]:
    """Print and return a line for each kind of a load: rates, and auto's ratio to the best fixed number."""
    lines = []
    for position, kind in enumerate(CHANGES.get(name, (name,))):
        rates = {server: [run.rates[position] for run in runs] for server, runs in figures.items()}
        medians = {server: median(values) for server, values in rates.items()}
        best = max((server for server in medians if server != "auto"), key=lambda server: medians[server])
        ratios = [mine / fixed for mine, fixed in zip(rates["auto"], rates[best], strict=True)]
        step = len(figures["auto"][-1].limits) // len(CHANGES.get(name, (name,)))
        limits = figures["auto"][-1].limits[position * step : (position + 1) * step]
        line = {"load": name, "kind": kind, "medians": medians, "best": best, "ratio": median(ratios), "limits": limits}
        lines.append({**line, "ratios": ratios})
        speeds = "  ".join(f"{server} {rate:6.1f}" for server, rate in medians.items())
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name:16} {kind:9} {speeds}  auto/{best} {spread}  limit {' '.join(map(str, limits))}", flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    loads = [*KINDS, *CHANGES]
    parser.add_argument("loads", nargs="*", default=loads, help=f"of {', '.join(loads)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each load, the first 5 of which do not count")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, THREADS], help="fixed numbers to compare with")
    parser.add_argument("--json", type=Path, default=Path("concurrency.json"), help="output file")
    arguments = parser.parse_args()
    lines: list[dict[str, Any]] = []
    with ExitStack() as stack:
        servers = start_servers(stack, arguments.threads)
        for name in arguments.loads:
            lines += report(name, run_rounds(servers, name, arguments))
            arguments.json.write_text(json.dumps(lines, indent=2) + "\n")


if __name__ == "__main__":
    main()
