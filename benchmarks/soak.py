"""What minutes of hostile clients leave behind: descriptors, threads, memory, temporary files, failed honest requests.

``python -m benchmarks.soak [--minutes 30] [--server fastapi]``: one server on two cores, eight honest clients, and
clients that stall, leave, lie about lengths and send garbage, all the time. The usage is printed before, every minute,
and once the hostile clients have gone. See README.md beside this file.
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.attack import CORES, HONEST_CLIENTS, MODEL, Timed, run_honest_clients
from benchmarks.load_generator import in_process
from benchmarks.stalling import leave_in_upload, never_read, send_slowly
from tests.processes import RunningServer
from tests.resilience.connections import CSV, Connection, post, post_headers, rows
from tests.resilience.resource_usage import MIB, resource_usage

HOSTILE_CLIENTS = 8
LEFT_OPEN_SECONDS = 3.0
"""Seconds for which a stalling client holds its connection."""

SETTLE_SECONDS = 10.0
"""Seconds after the last hostile client; idle connections of the server's timeouts end in them."""

TIMEOUTS = {"DRUM_WRITE_TIMEOUT": "2", "DRUM_UPLOAD_TIMEOUT": "5", "DRUM_FASTAPI_KEEPALIVE": "5"}


@dataclass(frozen=True)
class Usage:
    """Of the server and its workers together."""

    minute: float
    descriptors: int
    threads: int
    memory_mib: int
    temporary: int


def usage(pid: int, spool: Path, started: float) -> Usage:
    """Return the usage of a server process and its children."""
    process = psutil.Process(pid)
    found = []
    memory = 0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            found.append(resource_usage(each.pid, spool))
            memory += each.memory_info().rss
    return Usage(
        minute=round((time.monotonic() - started) / 60, 1),
        descriptors=sum(each.descriptors for each in found),
        threads=sum(each.threads for each in found),
        memory_mib=memory // MIB,
        temporary=len({name for each in found for name in each.temporary}),
    )


async def lie_about_length(port: int, seconds: float) -> None:
    """Send less, or more, than ``Content-Length`` says, or lengths that contradict each other."""
    heads = (
        post_headers("Content-Length: 1000000", CSV) + rows(1).encode(),
        post_headers("Content-Length: 3", CSV) + rows(1).encode() * 100,
        post_headers("Content-Length: 5", "Content-Length: 6", CSV) + b"a\n1\n\n\n",
        post_headers("Transfer-Encoding: chunked", CSV) + b"ffffff\r\na\n1\n",
    )
    await _send_and_hold(port, random.choice(heads), seconds * random.random())


async def send_garbage(port: int, seconds: float) -> None:
    """Send bytes that are no HTTP, or a body that is no table."""
    noise = random.randbytes(random.randrange(1, 100_000))
    await _send_and_hold(
        port, random.choice((noise, post(noise, CSV), post(noise, CSV, "Content-Encoding: gzip"))), 0.1
    )


async def _send_and_hold(port: int, data: bytes, seconds: float) -> None:
    connection = await Connection.open(port)
    try:
        await connection.send(data)
        await asyncio.sleep(seconds)
    finally:
        random.choice((connection.close, connection.abort))()


HOSTILE = (never_read, send_slowly, leave_in_upload, lie_about_length, send_garbage)


def run_hostile_clients(port: int, end: float) -> Counter[str]:
    """Run hostile clients until a time of the monotonic clock; return how many of each kind there were."""
    return asyncio.run(_run_hostile_clients(port, end))


async def _run_hostile_clients(port: int, end: float) -> Counter[str]:
    counts: Counter[str] = Counter()

    async def run_client() -> None:
        while time.monotonic() < end:
            attack = random.choice(HOSTILE)
            with suppress(OSError, EOFError, asyncio.TimeoutError):  # the server has cut it off
                await attack(port, LEFT_OPEN_SECONDS)
            counts[attack.__name__] += 1

    await asyncio.gather(*(run_client() for _ in range(HOSTILE_CLIENTS)))
    return counts


def soak(server_type: str, minutes: float) -> dict[str, Any]:
    """Soak a new server and return the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for inner in ("model", "spool"):
            (folder / inner).mkdir()
        (folder / "model" / "custom.py").write_text(MODEL)
        own = {"DRUM_SERVER_TYPE": server_type, "TARGET_NAME": "text", "DRUM_SPOOL_DIRECTORY": str(folder / "spool")}
        words = ("--code-dir", folder / "model", "--target-type", "textgeneration", "--logging-level", "critical")
        environment = {"DRUM_LAME_DUCK_SECONDS": "0", **TIMEOUTS, **own}
        with RunningServer(*words, log=folder / "log", environment=environment) as server:
            return asyncio.run(_soak(server, folder / "spool", minutes))


async def _soak(server: RunningServer, spool: Path, minutes: float) -> dict[str, Any]:
    pid, port = server.process.pid, server.port
    await in_process(run_honest_clients, port, time.monotonic() + 3.0)  # starts the threads that start on demand
    server.client.close()
    started = time.monotonic()
    end = started + 60 * minutes
    samples = [_printed(usage(pid, spool, started))]
    honest = asyncio.ensure_future(in_process(run_honest_clients, port, end))
    hostile = asyncio.ensure_future(in_process(run_hostile_clients, port, end))
    while not honest.done():
        await asyncio.wait([honest], timeout=60.0)
        samples.append(_printed(usage(pid, spool, started)))
    counts, requests = await hostile, await honest
    await asyncio.sleep(SETTLE_SECONDS)
    samples.append(_printed(usage(pid, spool, started)))
    return {"usage": [asdict(sample) for sample in samples], "hostile": dict(counts), **_honest_figures(requests)}


def _honest_figures(requests: list[Timed]) -> dict[str, int]:
    failed = sum(not request.is_served for request in requests)
    return {"honest": len(requests), "failed": failed}


def _printed(sample: Usage) -> Usage:
    print(*(f"{name} {value}" for name, value in asdict(sample).items()), sep=", ", flush=True)
    return sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--server", default="fastapi", choices=("flask", "gunicorn", "fastapi"))
    parser.add_argument("--json", type=Path, default=Path("soak.json"), help="output file")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    print(
        f"{arguments.server}: {HONEST_CLIENTS} honest and {HOSTILE_CLIENTS} hostile clients, {arguments.minutes:g} min"
    )
    result = soak(arguments.server, arguments.minutes)
    print(f"{result['failed']} of {result['honest']} honest requests failed; hostile clients: {result['hostile']}")
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
