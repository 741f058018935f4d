"""Clients that leave: at a random moment of their request, in one of the ways in which clients leave."""

import asyncio
import os
import random
from contextlib import suppress
from enum import Enum

from tests.resilience.connections import CSV, Connection, post_headers, rows

STORM = int(os.environ.get("DRUM_TEST_STORM", "500"))
"""Clients of one storm."""

AT_ONCE = 100
PAUSE = 0.03
"""Most seconds that a client lets pass before it leaves."""


class Leaves(Enum):
    """When a client leaves."""

    IN_HEAD = "within the head"
    BEFORE_BODY = "before the body"
    IN_BODY = "within the body"
    IN_CHUNKS = "within a chunked body"
    WAITING = "while it waits for its response"


def storm(port: int, clients: int, *, columns: dict[str, float], padding: int, seed: int) -> None:
    """Let ``clients`` come and go; each sends one row with ``columns``, and ``padding`` bytes of empty lines."""
    asyncio.run(_storm(port, clients, columns, padding, random.Random(seed)))


async def _storm(port: int, clients: int, columns: dict[str, float], padding: int, chance: random.Random) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def come_and_go(number: int) -> None:
        async with gate:
            body = rows(number, **columns).encode() + b"\n" * chance.randrange(padding)
            await _client(port, chance, chance.choice(list(Leaves)), body)

    await asyncio.gather(*map(come_and_go, range(clients)))


async def _client(port: int, chance: random.Random, leaves: Leaves, body: bytes) -> None:
    connection = await Connection.open(port)
    with suppress(ConnectionError):  # a refused client may find the server gone first
        await connection.send(_sent_before(leaves, body, chance))
        await asyncio.sleep(chance.random() * PAUSE)
    connection.abort() if chance.random() < 0.5 else connection.close()


def _sent_before(leaves: Leaves, body: bytes, chance: random.Random) -> bytes:
    """What a client has sent when it leaves."""
    if leaves is Leaves.IN_CHUNKS:
        part = body[: chance.randrange(len(body))]
        return post_headers(CSV, "Transfer-Encoding: chunked") + b"%x\r\n%s" % (len(body), part)
    head = post_headers(CSV, f"Content-Length: {len(body)}")
    if leaves is Leaves.IN_HEAD:
        return head[: chance.randrange(len(head))]
    if leaves is Leaves.BEFORE_BODY:
        return head
    if leaves is Leaves.IN_BODY:
        return head + body[: chance.randrange(len(body))]
    return head + body
