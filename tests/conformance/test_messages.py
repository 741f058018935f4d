"""The three servers understand, and refuse, the same HTTP/1.1 messages with the same statuses."""

import json
import socket
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.api.all_servers import Servers, running_servers
from tests.api.models import write_code
from tests.cases import each_case
from tests.conformance.messages import MESSAGES, NEXT, Message
from tests.processes import RunningServer

pytestmark = pytest.mark.process

TIMEOUT = 10
"""Seconds for a server to end a connection; each does so at once, after its last response."""

MODEL = """
def load_model(code_dir):
    return 1


def score_unstructured(model, data, **kwargs):
    return data if isinstance(data, bytes) else data.encode()
"""


class Response(NamedTuple):
    """A response as a client reads it."""

    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("conformance")
    model = write_code(folder / "model", MODEL)
    with running_servers(folder, "--code-dir", model, "--target-type", "unstructured") as running:
        yield running


def exchange(server: RunningServer, message: Message) -> bytes:
    """Send the message and the next request; return all bytes up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT) as connection:
        received = b""
        try:
            connection.sendall(message.data if message.ends or message.waits else message.data + NEXT)
            if message.ends:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65_536):
                received += chunk
        except (BrokenPipeError, ConnectionResetError):
            pass  # what the server had not read was dropped; its response has arrived
    return received


def responses(received: bytes, *, to_head: bool = False) -> Iterator[Response]:
    """Split the bytes of a connection into its responses, without interim ones."""
    while received:
        head, end, received = received.partition(b"\r\n\r\n")
        assert end, head
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        status = int(line.split()[1])
        if status == 100:
            continue
        size = 0 if to_head else int(headers["content-length"])
        to_head = False
        yield Response(status, headers, received[:size])
        received = received[size:]


def exchanged(server: RunningServer, message: Message) -> Iterator[Response]:
    return responses(exchange(server, message), to_head=message.data.startswith(b"HEAD"))


def read_alike(message: Message, found: list[Response]) -> bool:
    """Return whether a server responded as expected; it may close the connection after any response, and say so."""
    expected = message.statuses if message.is_final else (*message.statuses, 200)
    statuses = tuple(response.status for response in found)
    if bool(statuses) != bool(expected) or statuses != expected[: len(statuses)]:
        return False
    if len(statuses) < len(expected) and found[-1].headers["connection"] != "close":
        return False
    has_body = message.body is not None and len(statuses) >= len(message.statuses)
    if has_body and found[len(message.statuses) - 1].body != message.body:
        return False
    return all(response.status < 400 or "message" in json.loads(response.body) for response in found)


@each_case("message", MESSAGES, ids=lambda message: message.name)
def test_servers_read_a_message_alike(servers: Servers, message: Message) -> None:
    found = {server_type: list(exchanged(server, message)) for server_type, server in servers.items()}
    read = {server_type: read_alike(message, answers) for server_type, answers in found.items()}
    assert all(read.values()), (read, found)


def test_messages_are_many_and_have_names_of_their_own() -> None:
    assert len({message.name for message in MESSAGES}) == len(MESSAGES) >= 120


def test_request_line_behind_a_body_may_arrive_in_two_parts(servers: Servers) -> None:
    """Only FastAPI keeps connections."""
    first = b"POST /predictUnstructured/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    with socket.create_connection(("127.0.0.1", servers["fastapi"].port), timeout=TIMEOUT) as connection:
        connection.sendall(first + NEXT[:8])
        received = b""
        while not received.endswith(b"hello"):
            chunk = connection.recv(65_536)
            assert chunk, received
            received += chunk
        connection.sendall(NEXT[8:])
        while chunk := connection.recv(65_536):
            received += chunk
    assert [response.status for response in responses(received)] == [200, 200]
