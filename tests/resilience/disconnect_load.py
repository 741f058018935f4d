"""Clients that disconnect at a random point of their request."""

import asyncio
import os
import random
from contextlib import suppress
from enum import Enum

from tests.resilience.connections import CSV, Connection, post_headers, rows

CLIENTS = int(os.environ.get("DRUM_TEST_DISCONNECTS", "500"))
"""Clients of one load."""

CONCURRENT_CLIENTS = 100
MAX_PAUSE = 0.03
"""Seconds that a client waits at most before it disconnects."""


class DisconnectPoint(Enum):
    """Where in its request a client disconnects."""

    IN_HEADERS = "within the headers"
    BEFORE_BODY = "before the body"
    IN_BODY = "within the body"
    IN_CHUNKS = "within a chunked body"
    WAITING = "while it waits for its response"


def send_disconnecting_clients(port: int, clients: int, *, columns: dict[str, float], padding: int, seed: int) -> None:
    """Let each of ``clients`` send one row with ``columns`` and up to ``padding`` empty lines, and disconnect."""
    asyncio.run(_send_all(port, clients, columns, padding, random.Random(seed)))


async def _send_all(port: int, clients: int, columns: dict[str, float], padding: int, chance: random.Random) -> None:
    limit = asyncio.Semaphore(CONCURRENT_CLIENTS)

    async def send_one(number: int) -> None:
        async with limit:
            body = rows(number, **columns).encode() + b"\n" * chance.randrange(padding)
            await _client(port, chance, chance.choice(list(DisconnectPoint)), body)

    await asyncio.gather(*map(send_one, range(clients)))


async def _client(port: int, chance: random.Random, point: DisconnectPoint, body: bytes) -> None:
    connection = await Connection.open(port)
    with suppress(ConnectionError):  # the server may have closed the connection of a rejected client
        await connection.send(_sent_until(point, body, chance))
        await asyncio.sleep(chance.random() * MAX_PAUSE)
    connection.abort() if chance.random() < 0.5 else connection.close()


def _sent_until(point: DisconnectPoint, body: bytes, chance: random.Random) -> bytes:
    """Return what a client sends before it disconnects."""
    if point is DisconnectPoint.IN_CHUNKS:
        part = body[: chance.randrange(len(body))]
        return post_headers(CSV, "Transfer-Encoding: chunked") + b"%x\r\n%s" % (len(body), part)
    headers = post_headers(CSV, f"Content-Length: {len(body)}")
    if point is DisconnectPoint.IN_HEADERS:
        return headers[: chance.randrange(len(headers))]
    if point is DisconnectPoint.BEFORE_BODY:
        return headers
    if point is DisconnectPoint.IN_BODY:
        return headers + body[: chance.randrange(len(body))]
    return headers + body
