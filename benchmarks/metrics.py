"""CPU time of a request with and without metrics: ``python -m benchmarks.metrics [--server fastapi] [--rounds 800]``.

One server gets requests over one connection. Its model does nothing but switch the recorder of the metrics on or off
between two rounds, so both cases have the same process, and rounds are short, so that other load of the machine meets
both alike. As the model does nothing, the share of the metrics is the largest that there can be.
"""

import argparse
import http.client
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil

from tests.processes import RunningServer, free_port

MODEL = """
import gc

from datarobot_drum.drum.serving.metrics.recorder import Recorder


def load_model(code_dir):
    return next(found for found in gc.get_objects() if isinstance(found, Recorder) and found.is_on)


def score_unstructured(model, data, **kwargs):
    if data in ("on", "off"):
        model.is_on = data == "on"
    return "ok"
"""
PATH = "/predictUnstructured/"


class Client:
    """Sends requests to one server over one connection."""

    def __init__(self, server: RunningServer) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60.0)
        process = psutil.Process(server.process.pid)
        workers = [child for child in process.children() if "management.process" not in " ".join(child.cmdline())]
        # The CPU clock of another process, as clock_getcpuclockid(3) computes it on Linux.
        self._clock = (~(workers or [process])[0].pid << 3) | 2

    def post(self, body: str) -> None:
        self._connection.request("POST", PATH, body, {"Content-Type": "text/plain"})
        response = self._connection.getresponse()
        response.read()
        assert response.status == 200

    def cpu_microseconds(self, mode: str, requests: int) -> float:
        """Return the server's CPU time of a request."""
        self.post(mode)
        before = self._cpu_nanoseconds()
        for _ in range(requests):
            self.post("x")
        return (self._cpu_nanoseconds() - before) / requests / 1000

    def _cpu_nanoseconds(self) -> int:
        """Return the CPU time of the worker, ended threads included."""
        return time.clock_gettime_ns(self._clock)


def measure(server_type: str, rounds: int, requests: int) -> Iterator[tuple[float, float]]:
    """Yield the CPU time of a request without and with metrics, round by round."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "custom.py").write_text(MODEL, encoding="utf-8")
        environment = {"DRUM_SERVER_TYPE": server_type, "DRUM_MANAGEMENT_PORT": str(free_port())}
        words = ("--code-dir", folder, "--target-type", "unstructured", "--logging-level", "warning")
        server = stack.enter_context(RunningServer(*words, log=folder / "log", environment=environment))
        client = Client(server)
        client.cpu_microseconds("on", 10 * requests)
        for number in range(rounds):
            order = ("off", "on") if number % 2 else ("on", "off")
            costs = {mode: client.cpu_microseconds(mode, requests) for mode in order}
            yield costs["off"], costs["on"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="fastapi", choices=("fastapi", "flask", "gunicorn"))
    parser.add_argument("--rounds", type=int, default=800)
    parser.add_argument("--requests", type=int, default=20)
    options = parser.parse_args()
    pairs = list(measure(options.server, options.rounds, options.requests))
    for name, values in (("off", [off for off, _ in pairs]), ("on", [on for _, on in pairs])):
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"{options.server} {name}: {middle:.0f} us of CPU a request (quartiles {low:.0f} to {high:.0f})")
    low, middle, high = statistics.quantiles([on / off for off, on in pairs], n=4)
    print(f"on / off: {middle:.3f} (quartiles {low:.3f} to {high:.3f}, {len(pairs)} rounds)")


if __name__ == "__main__":
    main()
