"""Who may run queries at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from cerro_services.slots import Slots


@pytest.mark.req("TAP-13")
async def test_one_caller_leaves_half_of_the_slots_to_others() -> None:
    slots = Slots(4)
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(slots.of("eve"))
        third = asyncio.ensure_future(held.enter_async_context(slots.of("eve")))
        await held.enter_async_context(slots.of("ada"))
        await asyncio.sleep(0)
        assert not third.done()
        third.cancel()
        await asyncio.wait({third})
    assert not slots._shares, "nobody is remembered whose queries have ended"


@pytest.mark.req("TAP-13")
async def test_visitors_share_half_of_the_slots_and_leave_each_other_some() -> None:
    slots = Slots(4)
    async with AsyncExitStack() as held:
        await held.enter_async_context(slots.of(None, "192.0.2.1"))
        again = asyncio.ensure_future(held.enter_async_context(slots.of(None, "192.0.2.1")))
        await held.enter_async_context(slots.of(None, "192.0.2.2"))
        other = asyncio.ensure_future(held.enter_async_context(slots.of(None, "192.0.2.3")))
        await held.enter_async_context(slots.of("ada", "192.0.2.1"))
        await asyncio.sleep(0)
        assert not again.done()
        assert not other.done()
        for waiting in (again, other):
            waiting.cancel()
        await asyncio.wait({again, other})


@pytest.mark.req("TAP-13")
async def test_who_waits_for_a_slot_gets_the_next() -> None:
    slots = Slots(1)
    async with slots.of("ada"):
        next_one = asyncio.ensure_future(slots.of("ada").__aenter__())
        await asyncio.sleep(0)
        assert not next_one.done()
    await asyncio.wait_for(next_one, 5)
