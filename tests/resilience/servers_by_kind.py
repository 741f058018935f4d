"""An unstructured model on every server type, and on every worker class of gunicorn."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.processes import RunningServer

KINDS = ["fastapi", "flask", "sync", "gthread", "gevent"]
"""The types of servers, and the worker classes of gunicorn."""

Start = Callable[..., RunningServer]


@contextmanager
def starting_servers(folder: Path, code: str) -> Iterator[Start]:
    """Return a function that starts a server of a kind; parameters by name without ``DRUM_``."""
    model = folder / "model"
    model.mkdir()
    (model / "custom.py").write_text(code)
    with ExitStack() as stack:

        def start(kind: str, **parameters: object) -> RunningServer:
            environment = {f"DRUM_{name}": str(value) for name, value in parameters.items()}
            environment |= {"DRUM_LAME_DUCK_SECONDS": "0", "CUSTOM_MODEL_WORKERS": "1"}
            is_gunicorn = kind not in ("fastapi", "flask")
            environment |= {"DRUM_SERVER_TYPE": "gunicorn" if is_gunicorn else kind}
            environment |= {"DRUM_GUNICORN_WORKER_CLASS": kind} if is_gunicorn else {}
            arguments = ("--code-dir", model, "--target-type", "unstructured")
            return stack.enter_context(RunningServer(*arguments, log=folder / "log", environment=environment))

        yield start
