"""The knee of a load curve: beyond it, more load adds little throughput and much latency.

It is the measurement with the greatest power, throughput divided by mean latency (Kleinrock, "Power and deterministic
rules of thumb for probabilistic problems in computer communications", ICC 1979). Below the knee throughput grows
faster than latency; above it requests queue, so latency does.
"""

from collections.abc import Iterable, Sequence

from datarobot_drum.drum.commands.perf_test.load import Measurement

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
