"""Load for the benchmarks: a crowd that asks predictions again and again, and a prober that asks as orchestrators do.

Each runs in a process of its own, so that what they measure is the server and not each other.
"""

import asyncio
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.resilience.connections import Connection, Response, get, post, request_once, rows

T = TypeVar("T")

PROBE_SECONDS = 0.1
RETRY_AFTER = 5
OVERLOADED = {
    "message": "Server overloaded. Please retry later.",
    "error": "SERVICE_UNAVAILABLE",
    "retry_after": RETRY_AFTER,
}


@dataclass(frozen=True)
class Plan:
    """Who asks for how long. Nothing counts in the first ``warm`` seconds, within which the clients arrive.

    Clients that are not ``rude`` come back when a refusal says so (``Retry-After``), give or take a half.
    """

    clients: int
    seconds: float
    warm: float = 8.0
    rude: bool = False


def ask_for(port: int, plan: Plan, columns: dict[str, float]) -> Counter[str]:
    """Let clients, each on a connection that it keeps, ask again and again; the answers by kind."""
    return asyncio.run(_ask_for(port, plan, columns))


async def _ask_for(port: int, plan: Plan, columns: dict[str, float]) -> Counter[str]:
    answers: Counter[str] = Counter()
    begin = time.monotonic() + plan.warm
    chance = random.Random(1)

    async def ask_on_and_on(x: int) -> None:
        await asyncio.sleep(chance.uniform(0, plan.warm / 2))
        connection = await Connection.open(port)
        request = post(rows(x, **columns))
        while time.monotonic() < begin + plan.seconds:
            answer = await connection.request(request)
            if begin <= time.monotonic() < begin + plan.seconds:
                answers[_kind(answer)] += 1
            if answer.status == 503 and not plan.rude:
                await asyncio.sleep(float(answer.headers["retry-after"]) * chance.uniform(0.5, 1.5))
        connection.close()

    tasks = [asyncio.ensure_future(ask_on_and_on(x)) for x in range(plan.clients)]
    await asyncio.wait(tasks, timeout=plan.warm + plan.seconds)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    answers.update(repr(outcome) for outcome in outcomes if isinstance(outcome, Exception))
    return answers


def _kind(answer: Response) -> str:
    if answer.status != 503:
        return str(answer.status)
    documented = answer.json() == OVERLOADED and answer.headers.get("retry-after") == str(RETRY_AFTER)
    return "503 as documented" if documented else "503 of another kind"


@dataclass
class Probes:
    """Response times of one probe in seconds, and what it answered."""

    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def probe_for(port: int, plan: Plan, paths: list[str]) -> dict[str, Probes]:
    """Ask each path ten times a second while it counts, over a new connection each time as Kubernetes does."""
    return asyncio.run(_probe(port, plan, paths))


async def _probe(port: int, plan: Plan, paths: list[str]) -> dict[str, Probes]:
    found = {path: Probes() for path in paths}

    async def ask_one(path: str) -> None:
        begin = time.perf_counter()
        answer = await request_once(port, get(path, "Connection: close"))
        found[path].times.append(time.perf_counter() - begin)
        found[path].statuses[answer.status] += 1

    await asyncio.sleep(plan.warm)
    pending = []
    for _ in range(int(plan.seconds / PROBE_SECONDS)):
        pending += [asyncio.ensure_future(ask_one(path)) for path in paths]
        await asyncio.sleep(PROBE_SECONDS)
    await asyncio.gather(*pending)
    return found


async def aside(work: Callable[..., T], *arguments: Any) -> T:
    """Run ``work`` in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return await asyncio.to_thread(pool.apply, work, arguments)
