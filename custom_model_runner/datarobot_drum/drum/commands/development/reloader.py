"""``drum server --reload``: the process that restarts the server when a file of the model folder changes.

The server process is always one of ``reloaded_server``. It serves a start that failed as the error server does, with
513. If it ends by itself, another one serves that as its error, until the next change.
"""

import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from datarobot_drum.drum.commands.development.page_opener import open_when_ready
from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.process.children import kill_worker
from datarobot_drum.drum.process.signals import stop_signals
from datarobot_drum.drum.process.sockets import check_address
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import ARGUMENTS_VARIABLE, draft_settings
from datarobot_drum.drum.settings.build_record import BuildRecord
from datarobot_drum.drum.settings.environment import DEVELOPMENT_NAMES, environment_with
from datarobot_drum.runtime_parameters.sources import PREFIX

logger = logging.getLogger("drum")

MODULE = "datarobot_drum.drum.commands.development.reloaded_server"

POLL_MILLISECONDS = 200
_WAIT_SECONDS = 0.1
_SHOWN_FILES = 5
_IGNORED_FOLDERS = frozenset({"__pycache__", "node_modules"})
_IGNORED_SUFFIXES = frozenset({".pyc", ".pyo", ".log", ".tmp", ".swp", ".swx", ".lock"})
_OVERRIDES = {"DRUM_LAME_DUCK_SECONDS": ("numeric", 0), "DRUM_SHARE_MODEL": ("boolean", False)}
"""No load balancer routes to this server, and it has no memory to save."""


def serve_with_reload(arguments: Arguments) -> int:
    """Serve, and restart at each change, until a signal; return the exit code.

    Raises:
        StartupError: the extra is missing, or the address or the folder is wrong.
    """
    if find_spec("watchfiles") is None:
        raise StartupError("--reload needs the extra reload: pip install 'datarobot-drum[reload]'.")
    record = BuildRecord(collects=True)
    settings = draft_settings(arguments, record)
    for error in record.fatal_errors:
        raise error
    check_address(settings.host, settings.port)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it logs every change, too
    logger.warning("--reload restarts the server at each change of the model folder: not for production.")
    if arguments.open_docs:
        open_when_ready(settings)
    return Reloader(
        dataclasses.replace(arguments, with_error_server=True, open_docs=False), settings.model.code_dir
    ).run()


class Reloader:
    """Runs one server process at a time, on the files of a folder.

    At the first signal the server stops as it does by itself. At the second one it is killed.
    """

    def __init__(self, arguments: Arguments, folder: Path) -> None:
        self._arguments = arguments
        self._folder = folder.resolve()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_error_page = False
        self._signals = 0
        self._stopping = threading.Event()

    def run(self) -> int:
        """Serve until a signal, or until not even the error can be served; return the exit code."""
        for number in stop_signals():
            signal.signal(number, self._on_signal)
        try:
            for changed in self._changes():
                if self._process is None:
                    self._start()  # only now, when no change can be missed
                elif changed:
                    logger.info("Changed: %s. Restarting.", _listed(changed))
                    self._stop()
                    if not self._signals:
                        self._start()
                elif (code := self._process.poll()) is not None:
                    if self._is_error_page:
                        return code or 1
                    self._start(_end_of(code))
            return self._stop()
        finally:
            self._kill()

    def _changes(self) -> Iterator[list[str]]:
        """Yield the changed files, several times a second also without any, until a signal."""
        watch: Callable[..., Iterator[set[tuple[int, str]]]] = import_from_string("watchfiles:watch")
        found = watch(
            self._folder,
            watch_filter=self._is_watched,
            stop_event=self._stopping,
            rust_timeout=POLL_MILLISECONDS,
            yield_on_timeout=True,
            raise_interrupt=False,
        )
        for changes in found:
            yield sorted({os.path.relpath(path, self._folder) for _, path in changes})

    def _is_watched(self, change: int, path: str) -> bool:
        """Return False for what the server, Python and editors write: hidden files, caches, temporary files."""
        relative = Path(os.path.relpath(path, self._folder))
        is_hidden = any(part.startswith(".") and part != "." for part in relative.parts)
        is_ignored = relative.suffix in _IGNORED_SUFFIXES or relative.name.endswith("~")
        return not (is_hidden or is_ignored or _IGNORED_FOLDERS.intersection(relative.parts))

    def _start(self, failure: str = "") -> None:
        """Start a server process; with ``failure`` one that responds with this error."""
        if failure:
            logger.error("%s Serving this error until the next change.", failure)
        variables = {name: json.dumps({"type": kind, "payload": value}) for name, (kind, value) in _OVERRIDES.items()}
        environment = {PREFIX + name: text for name, text in variables.items()}
        self._is_error_page = bool(failure)
        # A session of its own: Ctrl-C reaches the server once, through this process.
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, *([failure] if failure else [])],
            env=environment_with({ARGUMENTS_VARIABLE: self._arguments.to_json(), **environment}, DEVELOPMENT_NAMES),
            start_new_session=True,
        )

    def _stop(self) -> int:
        """Stop the server process and wait for its requests in flight; return its exit code."""
        process = self._process
        if process is None:
            return os.EX_OK
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        while self._signals < 2:  # the second one does not wait
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_WAIT_SECONDS)
        self._kill()
        return 1

    def _kill(self) -> None:
        """Kill the server process and its workers, if they still run."""
        if self._process is not None and self._process.poll() is None:
            kill_worker(self._process.pid)
            self._process.wait()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._stopping.set()


def _listed(files: list[str]) -> str:
    rest = len(files) - _SHOWN_FILES
    return ", ".join(files[:_SHOWN_FILES]) + (f" and {rest} more" if rest > 0 else "")


def _end_of(code: int) -> str:
    how = f"exit code {code}" if code >= 0 else f"signal {-code}"
    return f"The server process ended with {how}; its log may have the cause."
