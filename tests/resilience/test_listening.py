"""The end of a listening socket: whoever has connected is served, whoever has not meets nobody."""

import errno
import select
import socket
import sys
from collections.abc import Iterator

import pytest

from datarobot_drum.drum.listening import accept_waiting, bind, turn_newcomers_away


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with bind("127.0.0.1", 0) as listening:
        yield listening


def test_connections_that_wait_are_served_after_the_listener_has_closed(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname(), 10.0) as client:
        turn_newcomers_away(listener)
        (connection,) = accept_waiting(listener)
        listener.close()
        with connection:
            client.sendall(b"question")
            assert connection.recv(100) == b"question"
            connection.sendall(b"answer")
            assert client.recv(100) == b"answer"


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels are not asked to")
def test_nobody_new_connects_between_the_last_look_and_the_close(listener: socket.socket) -> None:
    turn_newcomers_away(listener)
    assert accept_waiting(listener) == []
    with socket.socket() as newcomer:
        newcomer.settimeout(0.2)
        with pytest.raises(TimeoutError):
            newcomer.connect(listener.getsockname())
        assert accept_waiting(listener) == []
        listener.close()
        # Its kernel tries once more, and is told that nobody is there.
        assert select.select([], [newcomer], [], 30.0)[1]
        assert newcomer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
