"""The knee of a load curve: beyond it, more load adds little throughput and much latency.

It is the measurement with the greatest power, throughput divided by mean latency (Kleinrock, "Power and deterministic
rules of thumb for probabilistic problems in computer communications", ICC 1979). Below the knee throughput grows
faster than latency; above it requests queue, so latency does.
"""

from collections.abc import Iterable, Iterator, Sequence

from datarobot_drum.drum.commands.perf_test.load import Measurement
from datarobot_drum.drum.commands.perf_test.table import milliseconds

EXPLANATION = (
    "The knee is where throughput divided by mean latency (Kleinrock's power) is greatest: below it the server has "
    "spare capacity, beyond it more load adds latency, not throughput. Measurements with failed requests do not count."
)


def find_knee(measurements: Iterable[Measurement]) -> Measurement | None:
    """Return the measurement with the greatest power, by rows per second; None with fewer than two valid ones."""
    valid = [measurement for measurement in measurements if measurement.latencies and not measurement.errors]
    if len(valid) < 2:
        return None
    return max(valid, key=lambda measurement: measurement.rows_per_second / measurement.mean)


def knees_by_rows(measurements: Sequence[Measurement]) -> dict[int, Measurement]:
    """Return the knee of each request size over the number of clients, where there is one."""
    sizes = dict.fromkeys(measurement.level.rows for measurement in measurements)
    found = {rows: find_knee(one for one in measurements if one.level.rows == rows) for rows in sizes}
    return {rows: knee for rows, knee in found.items() if knee is not None}


def knee_lines(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Yield a line for the knee of each request size, and one for the highest rate of all."""
    knees = knees_by_rows(measurements)
    for rows, knee in knees.items():
        yield (
            f"Knee for {_count(rows, 'row')} a request: {_count(knee.level.clients, 'client')}, "
            f"{knee.rows_per_second:,.0f} rows/s at {milliseconds(knee.mean)} ms on average"
        )
    best = max(measurements, key=lambda one: one.rows_per_second, default=None)
    if best is not None and best.latencies:
        level = best.level
        yield (
            f"Highest rate: {best.rows_per_second:,.0f} rows/s with {_count(level.rows, 'row')} a request and "
            f"{_count(level.clients, 'client')}"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
