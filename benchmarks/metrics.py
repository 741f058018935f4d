"""CPU time of a request with and without metrics: ``python -m benchmarks.metrics [--server fastapi] [--rounds 9]``.

Two servers that differ in ``DRUM_METRICS`` alone run at the same time, and get requests in turn over one connection.
The model does nothing, so the share of the metrics is the largest that there can be. A pair is restarted several
times, since two starts of the same server differ, too.
"""

import argparse
import http.client
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil

from tests.processes import RunningServer, free_port

MODEL = 'def load_model(code_dir):\n    return 1\n\n\ndef score_unstructured(model, data, **kwargs):\n    return "ok"\n'
PATH = "/predictUnstructured/"
MODES = ("off", "management")


def start(stack: ExitStack, folder: Path, server_type: str, mode: str) -> RunningServer:
    environment = {
        "DRUM_SERVER_TYPE": server_type,
        "DRUM_METRICS": mode,
        "DRUM_MANAGEMENT_PORT": str(free_port()),
        "DRUM_LAME_DUCK_SECONDS": "0",
    }
    arguments = ("--code-dir", folder / "model", "--target-type", "unstructured", "--logging-level", "warning")
    return stack.enter_context(RunningServer(*arguments, log=folder / f"{mode}.log", environment=environment))


def worker(server: RunningServer) -> psutil.Process:
    """The process that serves: a child of gunicorn's master, else the server itself."""
    process = psutil.Process(server.process.pid)
    workers = [child for child in process.children() if "management.process" not in " ".join(child.cmdline())]
    return workers[0] if workers else process


class Client:
    """Sends requests to one server over one connection, or one each where the server closes it."""

    def __init__(self, server: RunningServer) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60.0)
        self._process = worker(server)

    def cpu_microseconds(self, requests: int) -> float:
        """Return the server's CPU time of a request."""
        before = self._process.cpu_times()
        for _ in range(requests):
            self._connection.request("POST", PATH, b"x", {"Content-Type": "text/plain"})
            response = self._connection.getresponse()
            response.read()
            assert response.status == 200
        after = self._process.cpu_times()
        return (after.user + after.system - before.user - before.system) / requests * 1e6


def measure(server_type: str, starts: int, rounds: int, requests: int) -> Iterator[tuple[float, float]]:
    """Yield the CPU time of a request without and with metrics, round by round."""
    for _ in range(starts):
        with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
            folder = Path(name)
            (folder / "model").mkdir()
            (folder / "model" / "custom.py").write_text(MODEL, encoding="utf-8")
            clients = {mode: Client(start(stack, folder, server_type, mode)) for mode in MODES}
            for client in clients.values():
                client.cpu_microseconds(requests)
            for number in range(rounds):
                order = MODES if number % 2 else MODES[::-1]
                costs = {mode: clients[mode].cpu_microseconds(requests) for mode in order}
                yield costs["off"], costs["management"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="fastapi", choices=("fastapi", "flask", "gunicorn"))
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    pairs = list(measure(options.server, options.starts, options.rounds, options.requests))
    for name, values in (("off", [off for off, _ in pairs]), ("on", [on for _, on in pairs])):
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"{options.server} {name}: {middle:.0f} us of CPU a request (quartiles {low:.0f} to {high:.0f})")
    ratios = [on / off for off, on in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"on / off: {middle:.3f} (quartiles {low:.3f} to {high:.3f}, {len(ratios)} rounds)")


if __name__ == "__main__":
    main()
