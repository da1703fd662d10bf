"""Who may run queries at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from cerro_services.access import PUBLIC, Caller
from cerro_services.quotas import Quotas
from cerro_services.slots import BusyError, Slots

QUOTAS = Quotas({"default": {"sync_queries": 2}, "public": {"sync_queries": 1}})


def named(name: str, *groups: str) -> Caller:
    return Caller(name, frozenset(groups), frozenset())


@pytest.mark.req("TAP-13")
async def test_one_caller_leaves_slots_to_others() -> None:
    slots = Slots(4, QUOTAS)
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(slots.of(named("eve")))
        third = asyncio.ensure_future(held.enter_async_context(slots.of(named("eve"))))
        await held.enter_async_context(slots.of(named("ada")))
        await asyncio.sleep(0)
        assert not third.done()
        third.cancel()
        await asyncio.wait({third})
    assert not slots._shares, "nobody is remembered whose queries have ended"


@pytest.mark.req("TAP-13")
async def test_visitors_share_half_of_the_slots_and_leave_each_other_some() -> None:
    slots = Slots(4, QUOTAS)
    async with AsyncExitStack() as held:
        await held.enter_async_context(slots.of(PUBLIC, "192.0.2.1"))
        again = asyncio.ensure_future(held.enter_async_context(slots.of(PUBLIC, "192.0.2.1")))
        await held.enter_async_context(slots.of(PUBLIC, "192.0.2.2"))
        other = asyncio.ensure_future(held.enter_async_context(slots.of(PUBLIC, "192.0.2.3")))
        await held.enter_async_context(slots.of(named("ada"), "192.0.2.1"))
        await asyncio.sleep(0)
        assert not again.done()
        assert not other.done()
        for waiting in (again, other):
            waiting.cancel()
        await asyncio.wait({again, other})


@pytest.mark.req("TAP-13")
async def test_who_waits_for_a_slot_gets_the_next() -> None:
    slots = Slots(1, QUOTAS)
    async with slots.of(named("ada")):
        next_one = asyncio.ensure_future(slots.of(named("ada")).__aenter__())
        await asyncio.sleep(0)
        assert not next_one.done()
    await asyncio.wait_for(next_one, 5)


@pytest.mark.req("UWS-14")
async def test_no_more_wait_than_can_be_served() -> None:
    slots = Slots(1, QUOTAS, waiting=1)
    async with slots.of(named("ada")):
        waiting = asyncio.ensure_future(slots.of(named("eve")).__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await slots.of(named("joe")).__aenter__()
        more = asyncio.ensure_future(slots.of(named("joe"), begun=True).__aenter__())
        await asyncio.sleep(0)
        assert not more.done(), "what has begun is not refused"
    await asyncio.wait_for(waiting, 5)
    more.cancel()


@pytest.mark.req("UWS-14")
async def test_who_has_waited_too_long_is_told() -> None:
    slots = Slots(1, QUOTAS, seconds=0.01)
    async with slots.of(named("ada")):
        with pytest.raises(BusyError, match="waited"):
            await slots.of(named("eve")).__aenter__()
    async with slots.of(named("eve")):
        pass
    assert not slots._shares
