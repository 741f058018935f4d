"""A file over a client's socket that raises when the client is too slow."""

import io
import socket
from typing import Any

from datarobot_drum.drum.serving.read_deadline import ReadDeadline


class DeadlineReader(io.RawIOBase):
    """A raw stream over a socket whose reads meet ``deadline``."""

    def __init__(self, connection: socket.socket, deadline: ReadDeadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes.

        Raises:
            HeadTimeout, TimeoutError: the deadline of the headers or of the body has passed.
        """
        data = self._deadline.receive(self._connection, len(buffer))
        buffer[: len(data)] = data
        return len(data)
