"""The knee of a curve of load: beyond it, more load buys little throughput for much latency.

It is the measurement with the greatest power, throughput divided by mean latency (Kleinrock, "Power and
deterministic rules of thumb for probabilistic problems in computer communications", ICC 1979). Below the knee the
server has room, so throughput grows faster than latency; above it requests wait for each other, so latency does.
"""

from collections.abc import Iterable, Sequence

from datarobot_drum.drum.commands.perf_test.load import Measurement

EXPLANATION = (
    "The knee is where throughput divided by mean latency (Kleinrock's power) is greatest: before it the server has "
    "room, beyond it more load adds more waiting than throughput. Measurements with failed requests do not count."
)


def find_knee(measurements: Iterable[Measurement]) -> Measurement | None:
    """The measurement of the greatest power, by rows a second; None where fewer than two can be compared."""
    whole = [measurement for measurement in measurements if measurement.latencies and not measurement.errors]
    if len(whole) < 2:
        return None
    return max(whole, key=lambda measurement: measurement.rows_per_second / measurement.mean)


def knees_by_rows(measurements: Sequence[Measurement]) -> dict[int, Measurement]:
    """The knee of each size of request over the number of clients, where there is one."""
    sizes = dict.fromkeys(measurement.level.rows for measurement in measurements)
    found = {rows: find_knee(one for one in measurements if one.level.rows == rows) for rows in sizes}
    return {rows: knee for rows, knee in found.items() if knee is not None}
