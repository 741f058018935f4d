"""Our servers against bare apps and their peers: ``python -m benchmarks.compare``. See README.md one folder up."""

import argparse
import json
import math
import signal
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from benchmarks.compare.documents import Results, read_results, write_whole
from benchmarks.compare.kinds import ALONE
from benchmarks.compare.machine import describe_machine
from benchmarks.compare.markdown import write_left_out, write_tables, write_targets
from benchmarks.compare.measuring import Pace
from benchmarks.compare.page import write_page
from benchmarks.compare.results_page import write_results_page
from benchmarks.compare.run import Order, run, suiting
from benchmarks.compare.running import Cores, on_cores
from benchmarks.compare.servers import PEERS, SERVERS
from benchmarks.compare.workloads import WORKLOADS
from datarobot_drum.drum.process.sockets import raise_fd_limit

FULL, QUICK = Pace(warm=1.0, seconds=3.0, upload_megabytes=200), Pace(warm=0.3, seconds=1.0, upload_megabytes=200)
ROUNDS = 3


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the important workloads in a few short rounds")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, metavar="NAME", help=f"of {', '.join(SERVERS)}")
    parser.add_argument("--peers", nargs="*", choices=PEERS, metavar="NAME", help=f"of {', '.join(PEERS)}; none: none")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, metavar="NAME", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"[{ROUNDS}]")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no round that would end later")
    parser.add_argument("--seconds", type=float, help=f"of each load [{FULL.seconds:g}; quick: {QUICK.seconds:g}]")
    parser.add_argument("--upload", type=int, default=FULL.upload_megabytes, metavar="MB", help="large upload [200]")
    parser.add_argument("--workers", type=int, default=1, help="processes of our servers and the bare apps [1]")
    parser.add_argument("--server-cores", type=_cores, metavar="0,1", help="[all but the last]")
    parser.add_argument("--load-cores", type=_cores, metavar="2", help="[the last]")
    parser.add_argument("--environments", type=Path, default=Path(".bench"), help="folder of the peers' environments")
    parser.add_argument(
        "--output", type=Path, default=Path(".bench/results"), help="folder for the JSON, table and page"
    )
    parser.add_argument("--results", type=Path, metavar="FILE", help="also write the results page, with its texts")
    parser.add_argument("--into", type=Path, metavar="JSON", help="add to an earlier run's figures, as further rounds")
    parser.add_argument("--anew", action="store_true", help="with --into: in place of its figures of these workloads")
    parser.add_argument("--from", dest="earlier", type=Path, metavar="JSON", help="measure nothing: an earlier run's")
    return parser.parse_args(words)


def _cores(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def order_of(arguments: argparse.Namespace) -> Order:
    """What the arguments ask for; raises SystemExit if no server has any of the workloads."""
    pace = QUICK if arguments.quick else FULL
    names = arguments.workloads or [name for name, work in WORKLOADS.items() if work.quick or not arguments.quick]
    servers = [SERVERS[name] for name in arguments.servers or SERVERS]
    if arguments.peers is not None:
        servers = [server for server in servers if not server.is_peer or server.environment in arguments.peers]
    chosen = suiting(servers, [WORKLOADS[name] for name in names])
    if not chosen and not any(WORKLOADS[name].kind in ALONE for name in names):
        raise SystemExit("None of these servers has any of these workloads.")
    usual = Cores.shared_out()
    return Order(
        chosen,
        names,
        arguments.rounds,
        Pace(pace.warm, arguments.seconds or pace.seconds, arguments.upload, arguments.workers),
        Cores(arguments.server_cores or usual.server, arguments.load_cores or usual.load),
        arguments.environments,
        arguments.minutes,
    )


def begin(arguments: argparse.Namespace, order: Order) -> Results:
    """What the run adds to; raises SystemExit for figures of another machine."""
    here = describe_machine()
    if arguments.into is None:
        return Results(here)
    results = read_results(arguments.into)
    if results.machine != here:
        raise SystemExit(f"The figures of {arguments.into} are another machine's: {results.machine}, this is {here}.")
    if arguments.anew:
        results.forget(order.workloads, arguments.servers)
    return results


def measure(order: Order, results: Results, path: Path) -> None:
    """A run from the load's cores, so that nothing of ours but the servers themselves is on theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"About {order.rounds * order.seconds / 60:.0f} minutes; every figure goes into {path} at once.", flush=True)
    raise_fd_limit()
    with on_cores(order.cores.load):
        run(order, results, lambda: results.save(path))


def write(document: dict[str, Any], folder: Path, results: Path | None) -> None:
    """The JSON, the tables and the page into ``folder``, each complete or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = write_tables(document)
    left_out = f"\nLeft out:\n\n{write_left_out(document)}\n" if document["left_out"] else ""
    texts = {
        folder / "results.json": json.dumps(document, indent=1) + "\n",
        folder / "results.md": f"{write_targets(document)}\n\n{tables}{left_out}",
        folder / "results.html": write_page(document),
    }
    if results is not None:
        texts[results] = write_results_page(document)
    for path, text in texts.items():
        write_whole(path, text)
    print(f"\n{texts[folder / 'results.md']}\nWritten: {', '.join(map(str, texts))}")


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """As after Ctrl-C: what was started is ended on the way out."""
    raise SystemExit(128 + number)


def main() -> None:
    arguments = parse()
    signal.signal(signal.SIGTERM, _leave)
    if arguments.earlier is not None:
        write(asdict(read_results(arguments.earlier)), arguments.output, arguments.results)
    else:
        order = order_of(arguments)
        results = begin(arguments, order)
        try:
            measure(order, results, arguments.output / "results.json")
        finally:  # also of a run that was ended before its time
            if results.measurements:
                write(asdict(results), arguments.output, arguments.results)


if __name__ == "__main__":
    main()
