"""What attacks do to other clients: response times, memory, and the recovery afterwards.

``python -m benchmarks.attack [NAME ...]``: for each attack a new server on two cores, eight honest clients, and four
attackers for a few seconds. The honest 99th percentile during the attack should be at most three times the undisturbed
one, memory should grow by less than 300 MB, and five seconds after the attack everything should be as before. See
README.md beside this file.
"""

import argparse
import asyncio
import gzip
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.compare.figures import percentile
from benchmarks.load_generator import in_process
from benchmarks.stalling import leave_in_upload, never_read, send_slowly
from tests.processes import RunningServer
from tests.resilience.connections import CSV, Connection, post, rows
from tests.resilience.resource_usage import MIB

CORES = 2
HONEST_CLIENTS, ATTACKERS = 8, 4
PAUSE_SECONDS = 0.02
RECOVERY_SECONDS = 5.0
START_SECONDS = 5.0
"""Seconds for the processes of the clients to start and to build their requests."""

STEP_TIMEOUT = 20.0
"""Seconds after which an attacker gives up on a request, and an honest one counts as failed."""

MODEL = """
import pandas as pd


def load_model(code_dir):
    return "model"


def score(data, model, target_name, **kwargs):
    return pd.DataFrame({target_name: data.iloc[:, 0].astype(float).astype(str)})


def chat(params, model, **kwargs):
    return endless_chunks() if params.get("stream") else {"choices": []}


def endless_chunks():
    while True:
        choice = {"index": 0, "delta": {"content": "x" * 50_000}, "finish_reason": None}
        yield {"id": "a", "object": "chat.completion.chunk", "created": 0, "model": "a", "choices": [choice]}
"""
CHAT = b'{"stream": true, "messages": [{"role": "user", "content": "a"}]}'

Attack = Callable[[int, float], Awaitable[Counter[str]]]
"""Attacks a port until a time of the monotonic clock; returns what the server responded."""


def repeated(request: bytes) -> Attack:
    """Return an attack whose clients send one request again and again, each time over a new connection."""

    async def attack(port: int, end: float) -> Counter[str]:
        outcomes: Counter[str] = Counter()

        async def run_attacker() -> None:
            while time.monotonic() < end:
                outcomes[await _outcome(port, request)] += 1

        await asyncio.gather(*(run_attacker() for _ in range(ATTACKERS)))
        return outcomes

    return attack


async def _outcome(port: int, request: bytes) -> str:
    try:
        connection = await Connection.open(port)
        try:
            # A server that rejects a request may close the connection before it has all of it.
            with suppress(ConnectionError):
                await asyncio.wait_for(connection.send(request), STEP_TIMEOUT)
            return str((await asyncio.wait_for(connection.receive(), STEP_TIMEOUT)).status)
        finally:
            connection.close()
    except (OSError, EOFError, asyncio.TimeoutError) as error:
        return type(error).__name__


def stalling(run_client: Callable[[int, float], Awaitable[None]]) -> Attack:
    """Return an attack by clients that stall, one after the other on each of four connections."""

    async def attack(port: int, end: float) -> Counter[str]:
        outcomes: Counter[str] = Counter()

        async def run_attacker() -> None:
            while (seconds := end - time.monotonic()) > 0:
                outcomes[await _end_of(run_client(port, seconds))] += 1

        await asyncio.gather(*(run_attacker() for _ in range(ATTACKERS)))
        return outcomes

    return attack


async def _end_of(client: Awaitable[None]) -> str:
    try:
        await client
    except (OSError, EOFError, asyncio.TimeoutError) as error:
        return type(error).__name__
    return "ended"


def zipped(content: bytes) -> bytes:
    return post(gzip.compress(content), CSV, "Content-Encoding: gzip")


def matrix(content: str) -> bytes:
    banner = "%%MatrixMarket matrix coordinate real general\n"
    return post(banner + content, "Content-Type: text/mtx")


def wide(columns: int, name: str = "") -> bytes:
    header = ",".join(name or f"c{number}" for number in range(columns))
    return f"{header}\n{','.join('1' * columns)}\n".encode()


def form(parts: int) -> bytes:
    part = '--b\r\nContent-Disposition: form-data; name="z"\r\n\r\n1\r\n'
    return post(part * parts + "--b--\r\n", "Content-Type: multipart/form-data; boundary=b")


def deep_json() -> bytes:
    body = b'{"messages": [], "a": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}"
    return post(body, "Content-Type: application/json").replace(b"/predict/", b"/chat/completions", 1)


def chat_request() -> bytes:
    return post(CHAT, "Content-Type: application/json").replace(b"/predict/", b"/chat/completions", 1)


ATTACKS: dict[str, Callable[[], Attack]] = {
    "gzip-rows": lambda: repeated(zipped(b"a\n" + b"1\n" * 47_000_000)),
    "gzip-zeros": lambda: repeated(zipped(b"a\n" + bytes(300 * MIB))),
    "huge-cell": lambda: repeated(zipped(b"a\n" + b"x" * (20 * MIB) + b"\n")),
    "wide-csv": lambda: repeated(post(wide(100_000), CSV)),
    "wide-csv-gzip": lambda: repeated(zipped(wide(1_000_000))),
    "wide-first-row": lambda: repeated(post(b"a\n" + b"1," * 100_000 + b"1\n", CSV)),
    "equal-columns": lambda: repeated(post(wide(20_000, "a"), CSV)),
    "matrix-columns": lambda: repeated(matrix("1 1000000 1\n1 1 1.0\n")),
    "matrix-rows": lambda: repeated(matrix("10000000 1 1\n1 1 1.0\n")),
    "matrix-comments": lambda: repeated(matrix("%\n" * 1_000_000 + "1 1 1\n1 1 1.0\n")),
    "many-parts": lambda: repeated(form(100_000)),
    "deep-json": lambda: repeated(deep_json()),
    "never-read": lambda: stalling(partial(never_read, request=chat_request())),
    "byte-a-second": lambda: stalling(send_slowly),
    "leave-in-upload": lambda: stalling(leave_in_upload),
}


@dataclass(frozen=True)
class Timed:
    """One honest request: its start by the monotonic clock, its duration, and whether it was served."""

    start: float
    seconds: float
    is_served: bool


def run_honest_clients(port: int, end: float) -> list[Timed]:
    """Send one row again and again, each client over a connection of its own, until ``end``."""
    return asyncio.run(_run_honest_clients(port, end))


async def _run_honest_clients(port: int, end: float) -> list[Timed]:
    found: list[Timed] = []
    request = post(rows(1), CSV)

    async def run_client() -> None:
        connection = await Connection.open(port)
        while time.monotonic() < end:
            start = time.monotonic()
            try:
                response = await asyncio.wait_for(connection.request(request), STEP_TIMEOUT)
                is_served, is_closed = response.status == 200, response.headers.get("connection") == "close"
            except (OSError, EOFError, asyncio.TimeoutError):
                is_served, is_closed = False, True
            if is_closed:
                connection.close()
                connection = await Connection.open(port)
            found.append(Timed(start, time.monotonic() - start, is_served))
            await asyncio.sleep(PAUSE_SECONDS)
        connection.close()

    await asyncio.gather(*(run_client() for _ in range(HONEST_CLIENTS)))
    return found


def run_attack(name: str, port: int, start: float, end: float) -> Counter[str]:
    """Run an attack between two times; its requests are built before."""
    return asyncio.run(_run_attack(name, port, start, end))


async def _run_attack(name: str, port: int, start: float, end: float) -> Counter[str]:
    attack = ATTACKS[name]()
    await asyncio.sleep(max(0.0, start - time.monotonic()))
    return await attack(port, end)


@dataclass(frozen=True)
class Phases:
    """The times of a run: undisturbed from ``start``, attacked from ``attack`` to ``calm``, then from ``after``."""

    start: float
    attack: float
    calm: float
    after: float
    end: float


def measure(name: str, server_type: str, seconds: float, environment: dict[str, str]) -> dict[str, Any]:
    """Attack a new server and return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        model.mkdir()
        (model / "custom.py").write_text(MODEL)
        own = {"DRUM_SERVER_TYPE": server_type, "DRUM_LAME_DUCK_SECONDS": "0", "TARGET_NAME": "text"}
        variables = {**own, **environment}
        words = ("--code-dir", model, "--target-type", "textgeneration", "--logging-level", "error")
        with RunningServer(*words, log=Path(folder) / "log", environment=variables) as server:
            return asyncio.run(_measure(name, server, seconds))


async def _measure(name: str, server: RunningServer, seconds: float) -> dict[str, Any]:
    start = time.monotonic() + START_SECONDS
    attack = start + seconds
    calm = attack + seconds
    after = calm + RECOVERY_SECONDS
    phases = Phases(start, attack, calm, after, after + seconds)
    honest = asyncio.ensure_future(in_process(run_honest_clients, server.port, phases.end))
    attacking = asyncio.ensure_future(in_process(run_attack, name, server.port, phases.attack, phases.calm))
    memory: list[tuple[float, int]] = []
    while not honest.done():
        memory.append((time.monotonic(), _memory(server.process.pid)))
        await asyncio.sleep(0.05)
    return _figures(name, phases, await honest, memory) | {"responses": dict(await attacking)}


def _memory(pid: int) -> int:
    """Return the resident memory of a process and its children."""
    process = psutil.Process(pid)
    sizes = []
    for found in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            sizes.append(found.memory_info().rss)
    return sum(sizes)


def _figures(name: str, phases: Phases, requests: Sequence[Timed], memory: list[tuple[float, int]]) -> dict[str, Any]:
    def p99(start: float, end: float) -> float:
        times = [request.seconds for request in requests if start <= request.start < end]
        return round(1000 * percentile(times, 0.99), 1) if times else float("inf")

    def peak(start: float, end: float) -> float:
        return max((size / MIB for moment, size in memory if start <= moment < end), default=0.0)

    before = peak(phases.start, phases.attack)
    undisturbed, attacked = p99(phases.start, phases.attack), p99(phases.attack, phases.calm)
    return {
        "attack": name,
        "p99_ms": {"undisturbed": undisturbed, "attacked": attacked, "recovered": p99(phases.after, phases.end)},
        "ratio": round(attacked / undisturbed, 1),
        "failed": sum(not request.is_served for request in requests),
        "growth_mib": round(peak(phases.attack, phases.after) - before),
        "kept_mib": round(peak(phases.after, phases.end) - before),
    }


def _line(result: dict[str, Any]) -> Iterator[str]:
    times = result["p99_ms"]
    yield f"{result['attack']:16}"
    yield from (f"{times[phase]:>12}" for phase in ("undisturbed", "attacked", "recovered"))
    yield from (f"{result[key]:>8}" for key in ("ratio", "failed", "growth_mib", "kept_mib"))
    yield f"  {result['responses']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attacks", nargs="*", default=list(ATTACKS), help=f"of {', '.join(ATTACKS)}")
    parser.add_argument("--server", default="fastapi", choices=("flask", "gunicorn", "fastapi"))
    parser.add_argument("--seconds", type=float, default=8.0, help="of each phase: undisturbed, attacked, recovered")
    parser.add_argument("--json", type=Path, default=Path("attack.json"), help="output file")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="variable of the server")
    arguments = parser.parse_args()
    if unknown := set(arguments.attacks) - set(ATTACKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    environment = dict(assignment.split("=", 1) for assignment in arguments.set)
    headings = ("p99 ms", "attacked", "recovered"), ("ratio", "failed", "MiB", "kept")
    print(f"{'attack':16}", *(f"{word:>12}" for word in headings[0]), *(f"{word:>8}" for word in headings[1]), sep="")
    results = []
    run = partial(measure, server_type=arguments.server, seconds=arguments.seconds, environment=environment)
    for name in arguments.attacks:
        results.append(run(name))
        print("".join(_line(results[-1])), flush=True)
    arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
