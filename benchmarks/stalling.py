"""Clients that stall: they do not read, send a byte now and then, or leave in the middle of an upload.

Each function runs one client for at most some seconds, or until the server cuts it off.
"""

import asyncio
import random
import socket
import time

from tests.resilience.connections import CSV, Connection, post_headers

RECEIVE_BUFFER = 65_536
STREAM_ROWS = 400_000
"""Rows whose predictions are larger than all buffers between the server and a client that does not read."""

PAUSE_SECONDS = 1.0
CONNECT_TIMEOUT = 10.0
POLL_SECONDS = 0.1

_STREAM = b"a\n" + b"1\n" * STREAM_ROWS
STREAM_REQUEST = (
    b"POST /predictionsStream/ HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nAccept: text/csv\r\n"
    b"Content-Length: %d\r\n\r\n" % len(_STREAM)
) + _STREAM


async def never_read(port: int, seconds: float, request: bytes = STREAM_REQUEST) -> None:
    """Ask for a stream, and never read it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    with connection:
        await asyncio.wait_for(loop.sock_connect(connection, ("127.0.0.1", port)), CONNECT_TIMEOUT)
        await asyncio.wait_for(loop.sock_sendall(connection, request), seconds)
        for _ in range(round(seconds / POLL_SECONDS)):
            await asyncio.sleep(POLL_SECONDS)
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):  # the server has cut the client off
                return


async def send_slowly(port: int, seconds: float) -> None:
    """Send a byte of the headers or of the body a second."""
    request = post_headers("Content-Length: 100000", CSV)
    sent = random.choice((20, len(request)))  # within the headers, or all of them
    connection = await Connection.open(port)
    try:
        await connection.send(request[:sent])
        end = time.monotonic() + seconds
        while time.monotonic() < end and not connection.is_over:
            await connection.send((request + b"1")[sent : sent + 1] or b"1")
            sent += 1
            await asyncio.sleep(PAUSE_SECONDS)
    finally:
        connection.close()


async def leave_in_upload(port: int, seconds: float) -> None:
    """Close or reset the connection in the middle of a large body."""
    connection = await Connection.open(port)
    try:
        body = b"a\n" + b"1\n" * random.randrange(1, 8_000_000)
        await asyncio.wait_for(connection.send(post_headers(f"Content-Length: {2 * len(body)}", CSV), body), seconds)
    finally:
        random.choice((connection.close, connection.abort))()
