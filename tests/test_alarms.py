"""Deadlines of many calls on few timers."""

import asyncio

from datarobot_drum.drum.uvicorn.alarms import GRAIN, Alarms


async def test_items_ring_in_order_and_not_before_their_time() -> None:
    loop = asyncio.get_running_loop()
    rung: list[tuple[str, float]] = []
    all_rang = asyncio.Event()

    def ring(item: str) -> None:
        rung.append((item, loop.time()))
        if len(rung) == 3:
            all_rang.set()

    alarms: Alarms[str] = Alarms(3 * GRAIN, ring)
    begin = loop.time()
    alarms.set("first")
    await asyncio.sleep(2 * GRAIN)
    later = loop.time()
    alarms.set("second")
    alarms.set("third")
    await asyncio.wait_for(all_rang.wait(), 30.0)
    assert [item for item, _ in rung] == ["first", "second", "third"]
    assert rung[0][1] >= begin + 3 * GRAIN and rung[1][1] >= later + 3 * GRAIN


async def test_an_item_that_was_taken_back_does_not_ring() -> None:
    rung: list[str] = []
    last_rang = asyncio.Event()

    def ring(item: str) -> None:
        rung.append(item)
        last_rang.set()

    alarms: Alarms[str] = Alarms(GRAIN, ring)
    alarms.set("gone")
    alarms.set("stays")
    alarms.forget("gone")
    alarms.forget("gone")
    await asyncio.wait_for(last_rang.wait(), 30.0)
    assert rung == ["stays"]


async def test_one_item_may_take_back_the_next_and_set_another() -> None:
    rung: list[str] = []
    last_rang = asyncio.Event()

    def ring(item: str) -> None:
        rung.append(item)
        if item == "first":
            alarms.forget("second")
            alarms.set("last")
        else:
            last_rang.set()

    alarms: Alarms[str] = Alarms(GRAIN, ring)
    alarms.set("first")
    alarms.set("second")
    await asyncio.wait_for(last_rang.wait(), 30.0)
    assert rung == ["first", "last"]
