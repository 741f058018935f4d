"""Writes to clients: a slow reader gets everything, one that does not read is cut off."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from datarobot_drum.drum.process.client_writes import ClientStalled, WriteProgress, send_all

DATA = bytes(range(256)) * 40_000


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def connections() -> Iterator[tuple[socket.socket, socket.socket]]:
    server, client = socket.socketpair()
    with server, client:
        yield server, client


def send(connection: socket.socket, timeout: float) -> None:
    send_all(connection, DATA, timeout, lambda data: connection.send(data, socket.MSG_DONTWAIT))


def test_client_is_stalled_once_nothing_is_read_for_the_timeout() -> None:
    clock = Clock()
    progress = WriteProgress(60.0, clock)
    assert not progress.is_stalled(100)
    clock.now = 59.0
    assert not progress.is_stalled(100)
    clock.now = 60.0
    assert progress.is_stalled(100)


def test_any_progress_restarts_the_timeout() -> None:
    clock = Clock()
    progress = WriteProgress(60.0, clock)
    for unread in range(100, 0, -1):
        clock.now += 59.0
        assert not progress.is_stalled(unread)


def test_client_that_reads_slowly_gets_everything(connections: tuple[socket.socket, socket.socket]) -> None:
    server, client = connections
    received = bytearray()
    with ThreadPoolExecutor(1) as thread:
        sent = thread.submit(partial(send, server, 30.0))
        while len(received) < len(DATA):
            received += client.recv(10_000)
        sent.result()
    assert received == DATA


def test_client_that_does_not_read_is_cut_off(connections: tuple[socket.socket, socket.socket]) -> None:
    server, _ = connections
    with pytest.raises(ClientStalled, match="did not read"):
        send(server, 0.2)
