"""Response times of probes on the management port while all workers are busy.

``python -m benchmarks.probes``: a model that holds the GIL for 5 s at a time on Flask, gunicorn and FastAPI with one
and two workers, and one that sleeps for 30 s in gunicorn's only sync worker. See README.md beside this file.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.compare.figures import percentile
from benchmarks.load_generator import Plan, in_process, run_probes
from tests.processes import RunningServer, free_port
from tests.resilience.connections import post, request_once, rows

PROBES = ["/livez", "/readyz"]
HOLD_SECONDS, SLEEP_SECONDS = 5.0, 30.0

MODEL = """
import ctypes
import time

import pandas as pd

LIBRARY = ctypes.PyDLL(None)  # unlike CDLL, it does not release the GIL


def load_model(code_dir):
    return "model"


def score(data, model, **kwargs):
    if "hold" in data:
        LIBRARY.usleep(int(data["hold"].iloc[0] * 1e6))
    if "sleep" in data:
        time.sleep(data["sleep"].iloc[0])
    return pd.DataFrame({"Predictions": data["x"]})
"""


@dataclass(frozen=True)
class Scenario:
    """A server and the predictions that keep it busy."""

    server_type: str
    workers: int
    columns: dict[str, float]


HOLD, SLEEP = {"hold": HOLD_SECONDS}, {"sleep": SLEEP_SECONDS}
SCENARIOS = {
    "fastapi-gil": Scenario("fastapi", 1, HOLD),
    "fastapi-gil-2-workers": Scenario("fastapi", 2, HOLD),
    "gunicorn-gil": Scenario("gunicorn", 1, HOLD),
    "flask-gil": Scenario("flask", 1, HOLD),
    "gunicorn-sync-sleep": Scenario("gunicorn", 1, SLEEP),
}


def keep_busy(port: int, plan: Plan, columns: dict[str, float]) -> Counter[int]:
    """Let clients send predictions back to back, each on a connection of its own; return the statuses."""
    return asyncio.run(_keep_busy(port, plan, columns))


async def _keep_busy(port: int, plan: Plan, columns: dict[str, float]) -> Counter[int]:
    statuses: Counter[int] = Counter()
    request = post(rows(1, **columns))
    end = time.monotonic() + plan.warm + plan.seconds

    async def send() -> None:
        while time.monotonic() < end:
            try:
                response = await request_once(port, request)
            except asyncio.TimeoutError:  # of a client whose turn comes after the end
                continue
            statuses[response.status] += 1

    await asyncio.wait([asyncio.ensure_future(send()) for _ in range(plan.clients)], timeout=plan.warm + plan.seconds)
    return statuses


def measure(scenario: Scenario, seconds: float) -> dict[str, Any]:
    """Probe a fresh server for ``seconds``."""
    management_port = free_port()
    environment = {
        "DRUM_SERVER_TYPE": scenario.server_type,
        "CUSTOM_MODEL_WORKERS": str(scenario.workers),
        "DRUM_MANAGEMENT_PORT": str(management_port),
        "DRUM_LAME_DUCK_SECONDS": "0",
        "DRUM_GUNICORN_GRACEFUL_TIMEOUT": "60",
    }
    # Two clients a worker: the next prediction starts as soon as the one before ends.
    plan = Plan(2 * scenario.workers, seconds, warm=4.0)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        model.mkdir()
        (model / "custom.py").write_text(MODEL)
        words = ("--code-dir", model, "--target-type", "regression", "--logging-level", "warning")
        server = RunningServer(*words, log=Path(folder) / "log", environment=environment)
        try:
            server.start()
            return asyncio.run(_measure(server.port, management_port, scenario, plan))
        finally:
            server.kill()


async def _measure(port: int, management_port: int, scenario: Scenario, plan: Plan) -> dict[str, Any]:
    busy = asyncio.ensure_future(in_process(keep_busy, port, plan, scenario.columns))
    probes = await in_process(run_probes, management_port, plan, PROBES)
    return {
        "predictions": {str(status): count for status, count in (await busy).items()},
        "probes_ms": {
            path: {
                "p50": round(1000 * percentile(times.times, 0.5), 1),
                "p99": round(1000 * percentile(times.times, 0.99), 1),
                "max": round(1000 * max(times.times), 1),
                "statuses": {str(status): count for status, count in times.statuses.items()},
            }
            for path, times in probes.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS), help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, default=Path("probes.json"), help="where the figures go")
    arguments = parser.parse_args()
    times = "p50/p99/max ms"
    print(f"{'scenario':22} {'livez ' + times:>22} {'readyz ' + times:>22}  statuses, predictions")
    results = {}
    for name in arguments.scenarios:
        result = results[name] = measure(SCENARIOS[name], arguments.seconds)
        probes = result["probes_ms"].values()
        livez, readyz = ("/".join(str(probe[key]) for key in ("p50", "p99", "max")) for probe in probes)
        statuses = [probe["statuses"] for probe in probes]
        print(f"{name:22} {livez:>22} {readyz:>22}  {statuses}, {result['predictions']}", flush=True)
    arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
