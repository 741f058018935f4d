"""Comparison of our servers with bare apps and peers: ``python -m benchmarks.compare``. See README.md one folder up."""

import argparse
import json
import math
import signal
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from benchmarks.compare.html_page import write_page
from benchmarks.compare.machine import describe_machine
from benchmarks.compare.markdown import write_left_out, write_tables, write_targets
from benchmarks.compare.measurements import STANDALONE
from benchmarks.compare.results import Results, read_results, write_atomically
from benchmarks.compare.results_page import write_results_page
from benchmarks.compare.rounds import RunPlan, matching_servers, run_rounds
from benchmarks.compare.run import Pace
from benchmarks.compare.server_process import Cores, on_cores
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
    parser.add_argument("--minutes", type=float, default=math.inf, help="start no round that would end later")
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
    parser.add_argument("--replace", action="store_true", help="with --into: replace the figures of these workloads")
    parser.add_argument("--from", dest="earlier", type=Path, metavar="JSON", help="only report an earlier run")
    return parser.parse_args(words)


def _cores(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def make_plan(arguments: argparse.Namespace) -> RunPlan:
    """Return the plan of the arguments; raises SystemExit if no server has any of the workloads."""
    pace = QUICK if arguments.quick else FULL
    names = arguments.workloads or [name for name, work in WORKLOADS.items() if work.quick or not arguments.quick]
    servers = [SERVERS[name] for name in arguments.servers or SERVERS]
    if arguments.peers is not None:
        servers = [server for server in servers if not server.is_peer or server.environment in arguments.peers]
    chosen = matching_servers(servers, [WORKLOADS[name] for name in names])
    if not chosen and not any(WORKLOADS[name].kind in STANDALONE for name in names):
        raise SystemExit("None of these servers has any of these workloads.")
    usual = Cores.assigned()
    return RunPlan(
        chosen,
        names,
        arguments.rounds,
        Pace(pace.warm, arguments.seconds or pace.seconds, arguments.upload, arguments.workers),
        Cores(arguments.server_cores or usual.server, arguments.load_cores or usual.load),
        arguments.environments,
        arguments.minutes,
    )


def open_results(arguments: argparse.Namespace, plan: RunPlan) -> Results:
    """Return the results that the run adds to; raises SystemExit if they are from another machine."""
    machine = describe_machine()
    if arguments.into is None:
        return Results(machine)
    results = read_results(arguments.into)
    if results.machine != machine:
        raise SystemExit(
            f"The figures of {arguments.into} are from another machine: {results.machine}, this is {machine}."
        )
    if arguments.replace:
        results.drop(plan.workloads, arguments.servers)
    return results


def measure(plan: RunPlan, results: Results, path: Path) -> None:
    """Run from the load's cores, so that only the servers use theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"About {plan.rounds * plan.seconds / 60:.0f} minutes; every figure goes into {path} at once.", flush=True)
    raise_fd_limit()
    with on_cores(plan.cores.load):
        run_rounds(plan, results, lambda: results.save(path))


def write(document: dict[str, Any], folder: Path, results: Path | None) -> None:
    """Write the JSON, the tables and the page into ``folder``, each atomically."""
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
        write_atomically(path, text)
    print(f"\n{texts[folder / 'results.md']}\nWritten: {', '.join(map(str, texts))}")


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    """Exit as after Ctrl-C, so that started processes are stopped."""
    raise SystemExit(128 + number)


def main() -> None:
    arguments = parse()
    signal.signal(signal.SIGTERM, _exit)
    if arguments.earlier is not None:
        write(asdict(read_results(arguments.earlier)), arguments.output, arguments.results)
    else:
        plan = make_plan(arguments)
        results = open_results(arguments, plan)
        try:
            measure(plan, results, arguments.output / "results.json")
        finally:  # also if the run was interrupted
            if results.measurements:
                write(asdict(results), arguments.output, arguments.results)


if __name__ == "__main__":
    main()
