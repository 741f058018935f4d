"""A stand-in for a server under its watchdog: ``python watched_server.py <folder>``, settings as every app reads them.

It answers every request with the status in the file ``status``, or not at all while that says ``hang``; each arrival
is a byte more in ``asked``. It has a child that ignores SIGTERM. On SIGTERM it ends as planned, with 0; first it waits
for as long as there is a file ``hold-drain``, no longer listening.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from datarobot_drum.drum.management.watchdog.watchdog import Watchdog
from datarobot_drum.drum.settings.build import settings_from_environment

FOLDER = Path(sys.argv[1])
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        with (FOLDER / "asked").open("a", encoding="utf-8") as asked:
            asked.write(f"{self.path}\n")
        while (status := (FOLDER / "status").read_text(encoding="utf-8")) == "hang":
            time.sleep(0.01)
        self.send_response(int(status))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def main() -> int:
    settings = settings_from_environment()
    server = ThreadingHTTPServer((settings.host, settings.port), Handler)
    server.daemon_threads = True
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    with Watchdog(settings).start(settings.port) as watchdog:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        (FOLDER / "child").write_text(str(child.pid), encoding="utf-8")
        server.serve_forever(poll_interval=0.02)
        server.server_close()
        if not watchdog.fired:
            watchdog.disarm()
        (FOLDER / "draining").touch()
        while (FOLDER / "hold-drain").exists():
            time.sleep(0.01)
        code = watchdog.exit_code(os.EX_OK)
    child.kill()
    return code


if __name__ == "__main__":
    sys.exit(main())
