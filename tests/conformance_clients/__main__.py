"""Run the published clients of every dialect, and write the page: ``python -m tests.conformance_clients``."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conformance_clients.environments import CLIENTS, run_client
from tests.conformance_clients.page import failures, write_page
from tests.conformance_clients.servers import running_target

SERVERS = ("fastapi", "flask", "gunicorn")


def main() -> int:
    """Write the page; return 1 if a check failed."""
    parser = argparse.ArgumentParser(prog="tests.conformance_clients", description=__doc__)
    parser.add_argument("--environments", type=Path, default=Path(".conformance"), help="folder of the clients")
    parser.add_argument("--output", type=Path, default=Path("docs/reference/conformance.md"), help="the page")
    parser.add_argument("--only", nargs="+", metavar="MODULE", help="modules of checks, such as mlflow_client")
    arguments = parser.parse_args()
    clients = [client for client in CLIENTS if not arguments.only or client.module in arguments.only]
    with TemporaryDirectory() as folder, ExitStack() as stack:
        targets = [stack.enter_context(running_target(name, Path(folder), platforms=True)) for name in SERVERS]
        results = []
        for client in clients:
            print(f"{client.title} ...", flush=True)
            results.append(run_client(client, targets, arguments.environments))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(write_page(results, targets), encoding="utf-8")
    found = failures(results)
    print(*found, f"Written: {arguments.output}", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
