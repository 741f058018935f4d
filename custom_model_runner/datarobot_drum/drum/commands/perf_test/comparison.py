"""Two runs compared: the rate of each load level, and whether the change is larger than the spread."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from datarobot_drum.drum.commands.perf_test.load import LoadLevel, Measurement
from datarobot_drum.drum.commands.perf_test.saved_run import Result, SavedRun, result_of
from datarobot_drum.drum.commands.perf_test.table import milliseconds
from datarobot_drum.drum.commands.report_facts import Fact

HEADER = ("rows", "clients", "rows/s before", "rows/s now", "change", "p95 ms before", "p95 ms now", "verdict")
FASTER, SLOWER, WITHIN = "faster", "slower", "within the spread"
_VARYING_FACTS = ("date",)


@dataclass(frozen=True)
class Change:
    """A load level of both runs."""

    level: LoadLevel
    before: Result
    now: Result

    @property
    def verdict(self) -> str:
        """Faster or slower only if the spreads of the two do not overlap."""
        if self.now.spread[0] > self.before.spread[1]:
            return FASTER
        return SLOWER if self.now.spread[1] < self.before.spread[0] else WITHIN

    @property
    def cells(self) -> tuple[str, ...]:
        before, now = self.before, self.now
        share = f"{(now.rows_per_second / before.rows_per_second - 1) * 100:+.1f} %" if before.rows_per_second else "-"
        return (
            str(self.level.rows),
            str(self.level.clients),
            f"{before.rows_per_second:.0f}",
            f"{now.rows_per_second:.0f}",
            share,
            milliseconds(before.p95),
            milliseconds(now.p95),
            self.verdict,
        )


def compare(saved: SavedRun, measurements: Sequence[Measurement]) -> list[Change]:
    """Return the load levels that both runs have."""
    return [
        Change(one.level, saved.results[one.level], result_of(one))
        for one in measurements
        if one.level in saved.results
    ]


def different_facts(saved: SavedRun, facts: Sequence[Fact]) -> Iterator[str]:
    """Yield a sentence for each fact that differs, which may explain a change."""
    for name, value in facts:
        before = saved.facts.get(name)
        if before is not None and before != value and name not in _VARYING_FACTS:
            yield f"{name}: {before} before, {value} now"
