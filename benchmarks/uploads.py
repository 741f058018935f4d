"""Memory of a FastAPI server that receives large bodies, and many, while its only prediction thread is busy.

``python -m benchmarks.uploads``: 8 bodies of 200 MB at once, chunked, as a chunked form and with their length; then 200
of 9 MB. See README.md beside this file.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.processes import RunningServer
from tests.resilience.connections import post, request_each, request_once, rows
from tests.resilience.models import ControlledModel
from tests.resilience.resource_usage import MIB, resident_memory
from tests.resilience.statistics import wait_for
from tests.resilience.uploads import MemoryGrowth, Sent, upload

CASES = [(8, 200, Sent.CHUNKED), (8, 200, Sent.FORM), (8, 200, Sent.WHOLE), (200, 9, Sent.WHOLE)]
CURVE_POINTS = 20


def measure(uploads: int, megabytes: int, sent: Sent, environment: dict[str, str]) -> dict[str, Any]:
    """One run against a fresh server; memory in MiB beyond what it took before."""
    with tempfile.TemporaryDirectory() as folder:
        model = ControlledModel(Path(folder))
        variables = {
            "DRUM_SERVER_TYPE": "fastapi",
            "DRUM_FASTAPI_EXECUTOR_WORKERS": "1",
            "DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT": "3600",
            "DRUM_FASTAPI_MAX_UPLOAD_SIZE": "0",
            "DRUM_SPOOL_DIRECTORY": os.fspath(folder),
            "DRUM_LAME_DUCK_SECONDS": "0",
            **environment,
        }
        words = ("--code-dir", model.path, "--target-type", "regression", "--logging-level", "warning")
        with RunningServer(*words, log=Path(folder) / "log", environment=variables) as server:
            figures = asyncio.run(_measure(server, model, uploads, megabytes * MIB, sent))
    return {"uploads": uploads, "megabytes": megabytes, "sent": sent.value, **figures}


async def _measure(
    server: RunningServer, model: ControlledModel, uploads: int, size: int, sent: Sent
) -> dict[str, Any]:
    await request_each(server.port, [post(rows(x)) for x in range(8)])
    model.hold()
    held = asyncio.ensure_future(request_once(server.port, post(rows(0))))
    await asyncio.to_thread(wait_for, server, running=1)
    begin = time.monotonic()
    async with MemoryGrowth(server.process.pid) as growth:
        sending = [asyncio.ensure_future(upload(server.port, x, size, sent)) for x in range(uploads)]
        await asyncio.to_thread(wait_for, server, running=1, waiting=uploads)
    received = time.monotonic() - begin
    parked = resident_memory(server.process.pid) - growth.start
    for task in sending:  # their work never runs: what a model does with a body is its own affair
        task.cancel()
    await asyncio.to_thread(wait_for, server, running=1, waiting=0)
    model.release()
    await held
    step = max(1, len(growth.samples) // CURVE_POINTS)
    return {
        "seconds": round(received, 1),
        "most": round(growth.max_bytes / MIB, 1),
        "all_waiting": round(parked / MIB, 1),
        "all_gone": round((resident_memory(server.process.pid) - growth.start) / MIB, 1),
        "curve": [round((sample - growth.start) / MIB, 1) for sample in growth.samples[::step]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("uploads.json"), help="where the figures go")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a variable of the server")
    arguments = parser.parse_args()
    environment = dict(assignment.split("=", 1) for assignment in arguments.set)
    print(f"{'bodies':>16} {'sent':16} {'received in':>12}   RSS growth in MiB: at most / all waiting / all gone")
    results = []
    for uploads, megabytes, sent in CASES:
        result = measure(uploads, megabytes, sent, environment)
        results.append(result)
        growth = f"{result['most']} / {result['all_waiting']} / {result['all_gone']}"
        print(f"{uploads:>5} x {megabytes:>5} MB {sent.value:16} {result['seconds']:>10} s   {growth}", flush=True)
    arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
