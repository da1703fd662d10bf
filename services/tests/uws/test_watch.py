"""Who waits for a job's phase to change is told of a change, and of nothing else."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, cast

import pytest

from cerro_services.uws.watch import Watch

if TYPE_CHECKING:
    from cerro_services.uws.store import JobStore


class Slow:
    """Phases of jobs, told when the test lets them be."""

    def __init__(self) -> None:
        self.now = {"first": "PENDING", "second": "QUEUED"}
        self.asked, self.answer = threading.Event(), threading.Event()

    def phases(self, identities: list[str]) -> dict[str, str]:
        found = {identity: self.now[identity] for identity in identities}
        self.asked.set()
        assert self.answer.wait(60)
        return found


@pytest.mark.req("UWS-3")
async def test_who_comes_while_the_database_is_asked_is_not_told_of_what_was() -> None:
    store = Slow()
    watch = Watch(cast("JobStore", store))
    first = asyncio.create_task(watch.change("first", "PENDING", 60))
    await asyncio.to_thread(store.asked.wait, 60)
    second = asyncio.create_task(watch.change("second", "QUEUED", 60))
    again = asyncio.create_task(watch.change("first", "QUEUED", 60))
    await asyncio.sleep(0)
    store.now["first"] = "QUEUED"
    store.answer.set()
    await first
    assert not second.done()
    assert not again.done()
    store.now |= {"first": "EXECUTING", "second": "EXECUTING"}
    await asyncio.gather(second, again)
