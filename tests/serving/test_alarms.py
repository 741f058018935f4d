"""Deadlines of many calls on few timers."""

import asyncio

from datarobot_drum.drum.serving.alarms import GRAIN, Alarms


async def test_items_ring_in_order_and_not_before_their_time() -> None:
    loop = asyncio.get_running_loop()
    rung: list[tuple[str, float]] = []
    all_rang = asyncio.Event()

    def ring(item: str) -> None:
        rung.append((item, loop.time()))
        if len(rung) == 3:
            all_rang.set()

    alarms: Alarms[str] = Alarms(loop, ring)
    begin = loop.time()
    alarms.set("second", 3 * GRAIN)
    alarms.set("third", 3 * GRAIN)
    alarms.set("first", GRAIN)
    await asyncio.wait_for(all_rang.wait(), 30.0)
    assert [item for item, _ in rung] == ["first", "second", "third"]
    assert rung[0][1] >= begin + GRAIN and rung[1][1] >= begin + 3 * GRAIN


async def test_an_item_that_was_taken_back_does_not_ring() -> None:
    rung: list[str] = []
    last_rang = asyncio.Event()

    def ring(item: str) -> None:
        rung.append(item)
        last_rang.set()

    alarms: Alarms[str] = Alarms(asyncio.get_running_loop(), ring)
    forget = alarms.set("gone", 0.0)
    alarms.set("stays", GRAIN)
    forget()
    forget()
    await asyncio.wait_for(last_rang.wait(), 30.0)
    assert rung == ["stays"]
