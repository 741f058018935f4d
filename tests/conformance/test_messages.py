"""The three servers understand, and refuse, the same HTTP/1.1 messages with the same statuses."""

import json
import socket
from collections.abc import Iterator

import pytest

from tests.api.all_servers import SERVER_TYPES, Servers, running_servers
from tests.api.models import write_code
from tests.conformance.messages import MESSAGES, NEXT, Message
from tests.processes import RunningServer

pytestmark = pytest.mark.process

MODEL = """
def load_model(code_dir):
    return 1


def score_unstructured(model, data, **kwargs):
    return data if isinstance(data, bytes) else data.encode()
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("conformance")
    model = write_code(folder / "model", MODEL)
    with running_servers(folder, "--code-dir", model, "--target-type", "unstructured") as running:
        yield running


def exchange(server: RunningServer, message: Message) -> bytes:
    """Send the message and the next request; return all bytes up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(message.data if message.ends else message.data + NEXT)
        if message.ends:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while chunk := connection.recv(65_536):
                received += chunk
        except ConnectionResetError:
            pass  # what the server had not read was dropped; its response has arrived
    return received


def responses(received: bytes, *, to_head: bool = False) -> Iterator[tuple[int, dict[str, str], bytes]]:
    """Split the bytes of a connection into status, headers and body of each response."""
    while received:
        head, end, received = received.partition(b"\r\n\r\n")
        assert end, head
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        size = 0 if to_head else int(headers["content-length"])
        to_head = False
        yield int(line.split()[1]), headers, received[:size]
        received = received[size:]


def describe(message: Message, received: bytes) -> object:
    """Return what a server did: the statuses, the echoed body, and whether an error is JSON."""
    found = list(responses(received, to_head=message.data.startswith(b"HEAD")))
    if not message.is_refused and not message.ends:
        assert found and found[-1][0] == 200, "the next request was not answered"
        found = found[:-1]
    statuses = tuple(status for status, _, _ in found)
    is_json = all("message" in json.loads(body) for status, _, body in found if status >= 400)
    return statuses, None if message.body is None or not found else found[-1][2], is_json


@pytest.mark.parametrize("server_type", SERVER_TYPES)
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_servers_read_a_message_alike(servers: Servers, server_type: str, message: Message) -> None:
    found = describe(message, exchange(servers[server_type], message))
    assert found == (message.statuses, message.body, True)
