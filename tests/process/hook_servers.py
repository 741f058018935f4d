"""Unstructured models on all three servers: a request names the function of ``custom.py`` that responds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.api.all_servers import SERVER_TYPES, Servers, running_servers
from tests.processes import RunningServer

__all__ = ["SERVER_TYPES", "Servers", "call_function", "serve_functions"]

DISPATCH = """

def score_unstructured(model, data, **kwargs):
    return repr(globals()[data](model))
"""


@contextmanager
def serve_functions(folder: Path, code: str) -> Iterator[Servers]:
    """Serve ``code``, whose functions take the model."""
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "custom.py").write_text(code + DISPATCH, encoding="utf-8")
    with running_servers(folder, "--code-dir", model, "--target-type", "unstructured") as servers:
        yield servers


def call_function(server: RunningServer, name: str) -> str:
    """Return what the function returned, as its ``repr``; each call has a connection of its own."""
    headers = {"Content-Type": "text/plain", "Connection": "close"}
    response = server.client.post("/predictUnstructured/", content=name, headers=headers)
    assert response.status_code == 200, response.text
    return response.text
