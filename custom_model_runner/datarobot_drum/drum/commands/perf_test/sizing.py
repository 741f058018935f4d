"""Size a deployment: workers for a rate and a p99 latency, from measured service times.

A worker is a queue with one server, since predictions share its CPU: its mean service time is the inverse of its
greatest throughput, with the spread of the latencies that a lone client measures. The rest of a lone client's latency
is a constant. Requests arrive at random (Poisson) and are divided among the workers.

The wait follows from Pollaczek and Khinchine (M/G/1), its tail is taken as exponential. A simulation of the same queue
with the measured times checks that.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from datarobot_drum.drum.exceptions import CommandError

MAX_UTILIZATION = 0.7
"""Of a worker: above it, a small error of the rate is a large one of the wait."""

DEFAULT_P99 = 0.1
_TAIL = 0.99
_SIMULATED = 200_000
_WARM_UP = 2_000
_MEMORY_MARGIN = 1.3
_SPARE = 1
_MIB = 1024 * 1024
_SEED = 1


@dataclass(frozen=True)
class WorkerModel:
    """The measured behaviour of one worker, in seconds and bytes."""

    services: tuple[float, ...]
    overhead: float
    memory: int

    @classmethod
    def from_measurements(cls, lone: Sequence[float], throughput: float, memory: int) -> WorkerModel:
        """Return the model of a worker.

        Args:
            lone: latencies of a client that waits for each response.
            throughput: the greatest number of requests per second with any number of clients.
        """
        mean = fmean(lone)
        capacity = min(1 / throughput, mean)
        return cls(tuple(latency * capacity / mean for latency in lone), mean - capacity, memory)

    @property
    def mean(self) -> float:
        return fmean(self.services)

    def wait(self, rate: float) -> float:
        """Return the mean wait at a rate below capacity, by Pollaczek and Khinchine."""
        second_moment = fmean(service**2 for service in self.services)
        return rate * second_moment / 2 / (1 - rate * self.mean)

    def latency_p99(self, rate: float) -> float:
        """Return the p99 of the latency at a rate below capacity.

        With probability 1 - utilization a request does not wait; the waits of the others are taken as exponential.
        """
        utilization = rate * self.mean
        own = _percentile(self.services)
        waiting = utilization / (1 - _TAIL)
        tail = math.log(waiting) * self.wait(rate) / utilization if waiting > 1 else 0.0
        return self.overhead + max(own, tail + self.mean)

    def simulate(self, rate: float) -> tuple[float, float]:
        """Return p50 and p99 of the latency in a simulation of the queue."""
        draw = random.Random(_SEED)
        wait, latencies = 0.0, []
        for _ in range(_SIMULATED):
            service = draw.choice(self.services)
            latencies.append(self.overhead + wait + service)
            wait = max(0.0, wait + service - draw.expovariate(rate))
        latencies = latencies[_WARM_UP:]
        return _percentile(latencies, 0.5), _percentile(latencies)


@dataclass(frozen=True)
class Sizing:
    """A deployment for ``rate`` requests per second."""

    rate: float
    target: float
    workers: int
    workers_per_replica: int
    model: WorkerModel

    @property
    def replicas(self) -> int:
        return math.ceil(self.workers / self.workers_per_replica) + _SPARE

    @property
    def rate_per_worker(self) -> float:
        return self.rate / self.workers

    @property
    def utilization(self) -> float:
        return self.rate_per_worker * self.model.mean

    @property
    def memory(self) -> int:
        """Bytes of a replica: the measured peak of a worker, times the workers, and a margin."""
        return math.ceil(self.model.memory * self.workers_per_replica * _MEMORY_MARGIN)


def size(model: WorkerModel, rate: float, target: float, workers_per_replica: int) -> Sizing:
    """Return the smallest deployment that meets the p99 latency below the greatest utilization.

    Raises:
        CommandError: no number of workers meets it.
    """
    if model.latency_p99(rate=1e-6) > target:
        raise CommandError(
            f"A request alone has a p99 latency of {model.latency_p99(rate=1e-6) * 1000:.1f} ms: no number of workers "
            f"gives {target * 1000:g} ms (--p99)."
        )
    workers = math.ceil(rate * model.mean / MAX_UTILIZATION)
    while model.latency_p99(rate / workers) > target:
        workers += 1
    while model.simulate(rate / workers)[1] > target:
        workers += max(1, workers // 20)
    return Sizing(rate, target, workers, workers_per_replica, model)


def describe(sizing: Sizing) -> str:
    """Return the sizing as text for the terminal."""
    theory = sizing.model.latency_p99(sizing.rate_per_worker)
    half, simulated = sizing.model.simulate(sizing.rate_per_worker)
    minimum = max(2, math.ceil((sizing.replicas - _SPARE) / 2))
    memory = math.ceil(sizing.memory / _MIB / 16) * 16
    lines = (
        ("rate", f"{sizing.rate:g} requests/s, p99 at most {sizing.target * 1000:g} ms"),
        ("one worker", f"{1 / sizing.model.mean:.1f} requests/s at most, {sizing.model.memory / _MIB:.0f} MiB"),
        ("workers", f"{sizing.workers}, each {sizing.rate_per_worker:.1f} requests/s, {sizing.utilization:.0%} busy"),
        ("replicas", f"{sizing.replicas} of {sizing.workers_per_replica} worker(s), {_SPARE} of them spare"),
        ("p99", f"{theory * 1000:.1f} ms by queueing theory, {simulated * 1000:.1f} ms simulated"),
        ("p50", f"{half * 1000:.1f} ms simulated"),
        ("requests", f"cpu: {sizing.workers_per_replica}, memory: {memory}Mi"),
        ("limits", f"memory: {memory}Mi (no CPU limit: it delays requests at random)"),
        (
            "HPA",
            f"minReplicas: {minimum}, maxReplicas: {2 * sizing.replicas}, "
            f"averageUtilization of cpu: {max(10, round(100 * sizing.utilization))}",
        ),
    )
    return "\n".join(f"{name:<11}{text}" for name, text in lines)


def _percentile(values: Sequence[float], share: float = _TAIL) -> float:
    """Return a percentile by nearest rank."""
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
