"""A server process that a command starts, sends requests to and stops."""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from datarobot_drum.drum.commands.samples import Body
from datarobot_drum.drum.exceptions import MODEL_FAILED, CommandError, StartupError
from datarobot_drum.drum.process.signals import cleanup_on_signals
from datarobot_drum.drum.process.sockets import bind
from datarobot_drum.drum.settings.access import ACCESS_NAMES
from datarobot_drum.drum.settings.arguments import Arguments, secret_variables, to_argv
from datarobot_drum.drum.settings.build import Settings, build_settings
from datarobot_drum.drum.settings.declaration import SERVER
from datarobot_drum.drum.settings.environment import DEVELOPMENT_NAMES, environment_with
from datarobot_drum.drum.settings.routed_models import MODEL_HEADER
from datarobot_drum.runtime_parameters import mask_secrets
from datarobot_drum.runtime_parameters.sources import read_parameter_file

HOST = "127.0.0.1"
_PORTS = (20_000, 32_000)
"""Below the ephemeral range: the kernel could give one of those to a client before the server binds it."""
_ATTEMPTS = 100
_PAUSE_SECONDS = 0.02
_PROBE_SECONDS = 10.0
_STOP_SECONDS = 3.0
_LOG_CHARACTERS = 2000
_VARIABLES = {"MLOPS_RUNTIME_PARAM_DRUM_LAME_DUCK_SECONDS": '{"type": "numeric", "payload": 0}'}
"""No load balancer routes to this server, so its stop need not wait for one."""


@dataclass(frozen=True)
class Response:
    """Status and body of a response."""

    status: int
    body: bytes

    @property
    def message(self) -> str:
        """The text of an error response, with credentials masked."""
        with suppress(ValueError, TypeError, KeyError):
            return mask_secrets(str(json.loads(self.body)["message"]))
        return mask_secrets(self.body[:_LOG_CHARACTERS].decode("utf-8", "replace"))


@dataclass(frozen=True)
class ModelServer:
    """A server that is ready."""

    settings: Settings
    process: "subprocess.Popen[bytes]"
    model: str | None = None
    """The model of a routed set; None for the default."""

    @property
    def predict_path(self) -> str:
        """The route that takes rows of samples for every target type."""
        return f"{self.settings.url_prefix}/invocations"

    def post(self, body: Body, timeout: float) -> Response:
        """Send samples and return the response.

        Raises:
            CommandError: there is no response within ``timeout`` seconds.
        """
        connection = http.client.HTTPConnection(HOST, self.settings.port, timeout=timeout)
        try:
            connection.request("POST", self.predict_path, body.content, self.headers(body))
            response = connection.getresponse()
            return Response(response.status, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(f"The server sent no response: {type(error).__name__} {error}".rstrip() + ".") from error
        finally:
            connection.close()

    def headers(self, body: Body) -> dict[str, str]:
        """Return the headers of a request with samples."""
        own = {MODEL_HEADER: self.model} if self.model else {}
        return {"Content-Type": body.content_type, **own}

    def is_running(self) -> bool:
        return self.process.poll() is None

    def resident_bytes(self) -> int:
        """Return the resident memory of all processes of the server; shared pages count in each."""
        total = 0
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    total += process.memory_info().rss
        return total


@contextmanager
def running_server(arguments: Arguments, timeout: float) -> Iterator[ModelServer]:
    """Start ``drum server`` with these arguments, wait until it is ready and stop it at the end.

    It listens on the loopback interface, without the keys, limits and certificates that variables and the file of
    parameters set. It has a process group of its own, which is killed if a signal ends this process.

    Raises:
        StartupError: the server does not start; the message contains the cause.
    """
    arguments = replace(arguments, command=SERVER, address=f"{HOST}:{_free_port()}", with_error_server=True)
    settings = build_settings(arguments)
    with tempfile.TemporaryFile() as log, _without_access(arguments) as arguments:
        words = [sys.executable, "-m", "datarobot_drum", SERVER, *to_argv(SERVER, arguments)]
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment_with(
                _VARIABLES | secret_variables(SERVER, arguments), without=ACCESS_NAMES | DEVELOPMENT_NAMES
            ),
            start_new_session=True,
        )
        with cleanup_on_signals(lambda: _kill(process)):
            try:
                server = ModelServer(settings, process, arguments.model)
                if not _becomes_ready(server, timeout):
                    log.seek(0)
                    raise StartupError(_startup_error(log.read().decode("utf-8", "replace")))
                yield server
            finally:
                _stop(process)


@contextmanager
def _without_access(arguments: Arguments) -> Iterator[Arguments]:
    """Yield the arguments with a copy of the file of parameters without those of access, if it has any."""
    path = arguments.runtime_params_file
    values = read_parameter_file(Path(path)) if path else {}
    if not values.keys() & ACCESS_NAMES:
        yield arguments
        return
    import yaml

    kept = {name: value for name, value in values.items() if name not in ACCESS_NAMES}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:  # only its owner may read it
        yaml.safe_dump(kept, file)
        file.flush()
        yield replace(arguments, runtime_params_file=file.name)


def _free_port() -> int:
    for _ in range(_ATTEMPTS):
        port = random.randrange(*_PORTS)
        with suppress(StartupError):
            bind(HOST, port).close()
            return port
    raise CommandError(f"No port between {_PORTS[0]} and {_PORTS[1]} is free.")


def _becomes_ready(server: ModelServer, timeout: float) -> bool:
    """Return True when the server is ready, False if its process has exited.

    Raises:
        StartupError: the model failed to load.
        CommandError: the timeout has passed.
    """
    deadline = time.monotonic() + timeout
    while server.is_running():
        response = _probe(server.settings)
        if response is not None and response.status == http.HTTPStatus.OK:
            return True
        if response is not None and response.status == MODEL_FAILED:
            raise StartupError(response.message.removeprefix("ERROR: "))
        if time.monotonic() > deadline:
            raise CommandError(f"The server was not ready within {timeout:.0f} s.")
        time.sleep(_PAUSE_SECONDS)
    return False


def _probe(settings: Settings) -> Response | None:
    connection = http.client.HTTPConnection(HOST, settings.port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", f"{settings.url_prefix}/")
        response = connection.getresponse()
        return Response(response.status, response.read())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _startup_error(log: str) -> str:
    """Return the server's own error message, else the end of its log."""
    prefix = "drum: error: "
    messages = [line.removeprefix(prefix) for line in log.splitlines() if line.startswith(prefix)]
    return mask_secrets(messages[-1] if messages else f"The server exited at startup: {log[-_LOG_CHARACTERS:].strip()}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    _kill(process)
    process.wait()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill all processes of the server; its workers have process groups of their own."""
    below = []
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(process.pid).children(recursive=True)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in below:
        with suppress(psutil.NoSuchProcess):
            child.kill()
