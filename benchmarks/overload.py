"""Goodput, refusals, probes and memory of a FastAPI server that is asked for far more than it can do.

``python -m benchmarks.overload``: 4 threads, a queue of 40, a model that takes 200 ms (ideal: 20 predictions a
second) and 500 clients. See README.md beside this file.
"""

import argparse
import asyncio
import dataclasses
import json
import tempfile
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

from benchmarks.crowds import Plan, aside, ask_for, probe_for
from tests.processes import RunningServer
from tests.resilience.resource_usage import MIB, resident_memory

THREADS, QUEUE = 4, 40
SECONDS_A_PREDICTION = 0.2
IDEAL = THREADS / SECONDS_A_PREDICTION
PROBES = ["/livez", "/readyz"]

MODEL = """
import ctypes
import time

import pandas as pd

GRIP = ctypes.PyDLL(None)  # unlike CDLL, it does not let go of the interpreter


def load_model(code_dir):
    return "model"


def work(kind, end):
    if kind == 0:  # waits, as for another service
        time.sleep(max(0.0, end - time.perf_counter()))
    while time.perf_counter() < end:
        if kind == 1:  # computes in Python, so wants the interpreter all the time
            sum(range(500))
        if kind == 2:  # computes in an extension that holds the interpreter for 5 ms at a time
            GRIP.usleep(5000)
            time.sleep(0)


def score(data, model, **kwargs):
    work(int(data["kind"].iloc[0]), time.perf_counter() + 0.2)
    return pd.DataFrame({"Predictions": data["x"]})
"""
KINDS = {"sleeping": 0, "python": 1, "extension": 2}


def measure(
    kind: str, plan: Plan, environment: dict[str, str], where: AbstractContextManager[None] | None = None
) -> dict[str, Any]:
    """One run against a fresh server, which is started within ``where``."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        model.mkdir()
        (model / "custom.py").write_text(MODEL)
        variables = {
            "DRUM_SERVER_TYPE": "fastapi",
            "DRUM_FASTAPI_EXECUTOR_WORKERS": str(THREADS),
            "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": str(QUEUE),
            "DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT": "2",
            "DRUM_LAME_DUCK_SECONDS": "0",
            **environment,
        }
        words = ("--code-dir", model, "--target-type", "regression", "--logging-level", "warning")
        with ExitStack() as stack:
            with where or nullcontext():
                server = stack.enter_context(RunningServer(*words, log=Path(folder) / "log", environment=variables))
            return asyncio.run(_measure(server, kind, plan))


async def _measure(server: RunningServer, kind: str, plan: Plan) -> dict[str, Any]:
    columns = {"kind": float(KINDS[kind])}
    asking = asyncio.ensure_future(aside(ask_for, server.port, plan, columns))
    probing = asyncio.ensure_future(aside(probe_for, server.port, plan, PROBES))
    await asyncio.sleep(plan.warm)
    memory = [resident_memory(server.process.pid)]
    answers, probes = await asking, await probing
    memory.append(resident_memory(server.process.pid))
    return {
        "model": kind,
        **dataclasses.asdict(plan),
        "goodput_percent": round(100 * answers["200"] / (IDEAL * plan.seconds), 1),
        "answers": dict(answers),
        "probes_ms": {
            path: {
                "p50": round(1000 * times.percentile(0.5), 1),
                "p99": round(1000 * times.percentile(0.99), 1),
                "max": round(1000 * max(times.times), 1),
                "statuses": {str(status): count for status, count in times.statuses.items()},
            }
            for path, times in probes.items()
        },
        "rss_mib": [round(size / MIB, 1) for size in memory],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(KINDS), help=f"of {', '.join(KINDS)}")
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rude", action="store_true", help="clients that are refused ask again at once")
    parser.add_argument("--json", type=Path, default=Path("overload.json"), help="where the figures go")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a variable of the server")
    arguments = parser.parse_args()
    plan = Plan(arguments.clients, arguments.seconds, rude=arguments.rude)
    environment = dict(assignment.split("=", 1) for assignment in arguments.set)
    times = "p50/p99/max ms"
    print(f"{'model':10} {'goodput':>8} {'livez ' + times:>24} {'readyz ' + times:>24} {'RSS MiB':>14}  answers")
    results = []
    for kind in arguments.models:
        result = measure(kind, plan, environment)
        results.append(result)
        probes = ["/".join(str(probe[key]) for key in ("p50", "p99", "max")) for probe in result["probes_ms"].values()]
        memory = " -> ".join(map(str, result["rss_mib"]))
        goodput, answers = result["goodput_percent"], result["answers"]
        print(f"{kind:10} {goodput:>7}% {probes[0]:>24} {probes[1]:>24} {memory:>14}  {answers}", flush=True)
    arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
