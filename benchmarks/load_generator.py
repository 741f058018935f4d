"""Load for the benchmarks: clients that send predictions back to back, and a prober that polls as orchestrators do.

Each runs in its own process, so that it does not slow down the server or the other.
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
    """The number of clients and the durations. The first ``warm`` seconds, in which the clients start, are not
    counted.

    Clients with ``ignores_retry_after`` retry a rejected request at once. The others wait for ``Retry-After`` plus
    or minus a half.
    """

    clients: int
    seconds: float
    warm: float = 8.0
    ignores_retry_after: bool = False


def generate_load(port: int, plan: Plan, columns: dict[str, float]) -> Counter[str]:
    """Run clients that send requests back to back, each on one connection, and count the responses by kind."""
    return asyncio.run(_generate_load(port, plan, columns))


async def _generate_load(port: int, plan: Plan, columns: dict[str, float]) -> Counter[str]:
    counts: Counter[str] = Counter()
    start = time.monotonic() + plan.warm
    generator = random.Random(1)

    async def run_client(x: int) -> None:
        await asyncio.sleep(generator.uniform(0, plan.warm / 2))
        connection = await Connection.open(port)
        request = post(rows(x, **columns))
        while time.monotonic() < start + plan.seconds:
            response = await connection.request(request)
            if start <= time.monotonic() < start + plan.seconds:
                counts[_kind(response)] += 1
            if response.status == 503 and not plan.ignores_retry_after:
                await asyncio.sleep(float(response.headers["retry-after"]) * generator.uniform(0.5, 1.5))
        connection.close()

    tasks = [asyncio.ensure_future(run_client(x)) for x in range(plan.clients)]
    await asyncio.wait(tasks, timeout=plan.warm + plan.seconds)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    counts.update(repr(result) for result in results if isinstance(result, Exception))
    return counts


def _kind(response: Response) -> str:
    if response.status != 503:
        return str(response.status)
    documented = response.json() == OVERLOADED and response.headers.get("retry-after") == str(RETRY_AFTER)
    return "503 as documented" if documented else "other 503"


@dataclass
class Probes:
    """The response times of a probe in seconds, and its statuses."""

    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


def run_probes(port: int, plan: Plan, paths: list[str]) -> dict[str, Probes]:
    """Request each path ten times a second over a new connection each time, as Kubernetes does."""
    return asyncio.run(_run_probes(port, plan, paths))


async def _run_probes(port: int, plan: Plan, paths: list[str]) -> dict[str, Probes]:
    found = {path: Probes() for path in paths}

    async def probe_once(path: str) -> None:
        start = time.perf_counter()
        response = await request_once(port, get(path, "Connection: close"))
        found[path].times.append(time.perf_counter() - start)
        found[path].statuses[response.status] += 1

    await asyncio.sleep(plan.warm)
    pending = []
    for _ in range(int(plan.seconds / PROBE_SECONDS)):
        pending += [asyncio.ensure_future(probe_once(path)) for path in paths]
        await asyncio.sleep(PROBE_SECONDS)
    await asyncio.gather(*pending)
    return found


async def in_process(work: Callable[..., T], *arguments: Any) -> T:
    """Run ``work`` in its own process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return await asyncio.to_thread(pool.apply, work, arguments)
