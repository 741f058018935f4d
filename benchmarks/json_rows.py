"""Compares the CPU time of one row in each form of JSON with that of csv, in alternating rounds on one server.

``python -m benchmarks.json_rows [--rounds 40] [--requests 25] [--output FILE]``

In each round every format sends the same row over one connection, in turn forwards and backwards. A figure is the CPU
time of the server process per request, so other load on the machine hardly matters. The table has the medians, and of
the ratios to csv, round by round, the median and the range.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from benchmarks.revisions import ROOT, Checkout, csv_body, served

CSV = "csv"


@dataclass(frozen=True)
class FormatCost:
    """A row of the table: milliseconds of CPU time per request, and the ratios to csv."""

    name: str
    cpu_ms: float
    ratio: float
    lowest: float
    highest: float


def write_bodies() -> dict[str, tuple[str, bytes]]:
    """Return the media type and the body of the first sample in each format."""
    table = csv_body(1)
    header, line = table.decode().split()
    names, row = header.split(","), list(map(float, line.split(",")))
    record = dict(zip(names, row, strict=True))
    documents = {
        "list of records": [record],
        "list of rows": [row],
        "columns": {name: [value] for name, value in record.items()},
        "split": {"columns": names, "data": [row]},
        "`dataframe_split`": {"dataframe_split": {"columns": names, "data": [row]}},
        "`dataframe_records`": {"dataframe_records": [record]},
        "`instances`": {"instances": [row]},
        "`inputs`": {"inputs": {name: [value] for name, value in record.items()}},
    }
    bodies = {name: ("application/json", json.dumps(document).encode()) for name, document in documents.items()}
    return {CSV: ("text/csv", table), **bodies}


def send(connection: HTTPConnection, media_type: str, body: bytes, requests: int) -> None:
    """Send the same request again and again."""
    for _ in range(requests):
        connection.request("POST", "/predict/", body, {"Content-Type": media_type})
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise RuntimeError(content.decode())


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, as ``clock_getcpuclockid`` finds its clock on Linux."""
    return time.clock_gettime(~pid << 3 | 2)


def measure(port: int, rounds: int, requests: int) -> Iterator[Mapping[str, float]]:
    """Yield the milliseconds of CPU time per request of each format, round by round."""
    bodies = write_bodies()
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/stats/")
    pid = int(json.loads(connection.getresponse().read())["drum_info"][0]["pid"])  # the server, with one worker
    for media_type, body in bodies.values():
        send(connection, media_type, body, 100)
    for number in range(rounds):
        figures = {}
        for name in list(bodies)[:: 1 if number % 2 == 0 else -1]:
            start = cpu_seconds(pid)
            send(connection, *bodies[name], requests)
            figures[name] = (cpu_seconds(pid) - start) / requests * 1000
        yield figures
    connection.close()


def summarize(rounds: list[Mapping[str, float]]) -> list[FormatCost]:
    """Return a row of the table for each format."""
    table = []
    for name in write_bodies():
        ratios = [figures[name] / figures[CSV] for figures in rounds]
        cpu_ms = median(figures[name] for figures in rounds)
        table.append(FormatCost(name, cpu_ms, median(ratios), min(ratios), max(ratios)))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--requests", type=int, default=25, help="of each format in each round")
    parser.add_argument("--output", type=Path, help="a file for the figures as JSON")
    options = parser.parse_args()
    with served(Checkout("own", ROOT)) as port:
        table = summarize(list(measure(port, options.rounds, options.requests)))
    for row in table:
        print(f"| {row.name} | {row.cpu_ms:.2f} | {row.ratio:.2f} ({row.lowest:.2f} to {row.highest:.2f}) |")
    if options.output:
        options.output.write_text(json.dumps([asdict(row) for row in table], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
