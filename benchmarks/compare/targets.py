"""The targets of the comparison, and their evaluation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.compare.figures import Summary, ratios, summarize
from benchmarks.compare.servers import FOREST_BASELINE, PANDAS, SERVERS
from benchmarks.compare.tables import Document, Rounds, rounds_of
from benchmarks.compare.workloads import WORKLOADS, Metric

BEST_PEER = "the best peer"
"""The peer with the best figure."""


@dataclass(frozen=True)
class Target:
    """A figure of one of our servers and its bound.

    Attributes:
        key: of the metric.
        against: the server that the figure is divided by, round by round; empty for the figure itself.
        is_minimum: True for a lower bound, False for an upper bound.
        strict: whether the bound itself is not allowed.
    """

    workload: str
    server: str
    key: str
    bound: float
    against: str = ""
    is_minimum: bool = False
    strict: bool = False

    @property
    def metric(self) -> Metric:
        return next(metric for metric in WORKLOADS[self.workload].metrics if metric.key == self.key)

    @property
    def text(self) -> str:
        words = {(True, False): "at least", (True, True): "over", (False, False): "at most", (False, True): "under"}
        return f"{words[self.is_minimum, self.strict]} {self.bound:g}{f' x {self.against}' if self.against else ''}"

    def holds(self, value: float) -> bool:
        within = value >= self.bound if self.is_minimum else value <= self.bound
        return within and not (self.strict and value == self.bound)


@dataclass(frozen=True)
class TargetResult:
    """A target and its measured figure; ``peer`` is the name of the best peer, if it is compared with that."""

    target: Target
    measured: Summary | None = None
    peer: str = ""

    @property
    def is_met(self) -> bool | None:
        """True if the median meets the target; None if it was not measured."""
        return None if self.measured is None else self.target.holds(self.measured.median)

    @property
    def text(self) -> str:
        if self.measured is None:
            return "-"
        return f"{self.measured}{f', {self.peer}' if self.peer else ''}"


_OURS = "drum-fastapi"
TARGETS = (
    Target("one-row-16", _OURS, "requests_per_second", 2.2, PANDAS, is_minimum=True),
    Target("one-row-16", _OURS, "requests_per_second", 1, BEST_PEER, is_minimum=True, strict=True),
    Target("one-row-1", _OURS, "p50_ms", 0.6, PANDAS, strict=True),
    Target("rows-100", _OURS, "requests_per_second", 1.9, PANDAS, is_minimum=True),
    Target("rows-10000", _OURS, "requests_per_second", 1.2, PANDAS, is_minimum=True),
    Target("rows-curve", _OURS, "worst_step", 1, strict=True),
    Target("upload", _OURS, "peak_mib", 0.5, PANDAS),
    Target("upload", _OURS, "seconds", 0.9, PANDAS),
    Target("forest-64", "drum-fastapi-batched", "requests_per_second", 12, FOREST_BASELINE, is_minimum=True),
    Target("forest-64", "drum-fastapi-batched", "requests_per_second", 1.2, BEST_PEER, is_minimum=True),
    Target("forest-64", "drum-fastapi-batched", "p99_ms", 1, BEST_PEER, strict=True),
    Target("workers-2", FOREST_BASELINE, "corrected", 1.85, is_minimum=True),
    Target("overload", _OURS, "goodput_percent", 95, is_minimum=True),
    Target("overload", _OURS, "livez_p99_ms", 100, strict=True),
    Target("overload", _OURS, "readyz_p99_ms", 100, strict=True),
    Target("idle", _OURS, "p50_ratio", 1.1),  # flat, within 10 %
    Target("start", _OURS, "seconds", 1, PANDAS),
    Target("memory", "drum-gunicorn-shared", "further_mib", 30),
    Target("memory", "drum-fastapi-shared", "further_mib", 30),
)


def evaluate(document: Document) -> list[TargetResult]:
    """Return the results of all targets."""
    return [_evaluate(target, rounds_of(document, target.workload)) for target in TARGETS]


def _evaluate(target: Target, rounds: Rounds) -> TargetResult:
    ours = _figures(rounds, target.server, target.key)
    if not ours:
        return TargetResult(target)
    if not target.against:
        return TargetResult(target, summarize(list(ours.values())))
    if target.against != BEST_PEER:
        return TargetResult(target, *_compared(rounds, target, ours, [target.against])[:1])
    return TargetResult(target, *_compared(rounds, target, ours, [name for name in rounds if SERVERS[name].is_peer]))


def _compared(
    rounds: Rounds, target: Target, ours: Mapping[int, float], names: Sequence[str]
) -> tuple[Summary | None, str]:
    """Return the ratio to the best of the servers, and its name."""
    found = [(ratios(ours, _figures(rounds, name, target.key)), name) for name in names]
    found = [(values, name) for values, name in found if values]
    if not found:
        return None, ""
    choose: Callable[..., tuple[list[float], str]] = min if target.is_minimum else max
    values, name = choose(found, key=lambda pair: median(pair[0]))
    return summarize(values), name


def _figures(rounds: Rounds, server: str, key: str) -> dict[int, float]:
    return {number: values[key] for number, values in rounds.get(server, {}).items()}
