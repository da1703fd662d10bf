"""Who may run queries at once: so many in all, and no one caller more than their quota."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from cerro_services.access import Caller
from cerro_services.errors import CerroError
from cerro_services.quotas import Quotas


class BusyError(CerroError, code="busy", status=503):
    """So many queries wait that one more would not be answered in time."""


class Slots:
    """Lets no more queries run at once than there are slots.

    A caller gets as many as their quota says, but never more than half of all; everybody without a
    token together gets half, and each address of these the public's quota: nobody's long queries
    keep all others waiting. Queries wait for a while, so many at once and no more.

    Parameters
    ----------
    total
        Number of slots.
    quotas
        How many queries of a caller may run at once.
    waiting
        Queries that may wait to begin.
    seconds
        How long they may.
    """

    def __init__(
        self, total: int, quotas: Quotas, *, waiting: int = 1000, seconds: float = 60.0
    ) -> None:
        self._all = asyncio.Semaphore(total)
        self._half = max(1, total // 2)
        self._quotas = quotas
        self._room, self._seconds = waiting, seconds
        self._shares: dict[Hashable, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def of(
        self, caller: Caller, address: str = "", *, begun: bool = False
    ) -> AsyncIterator[None]:
        """Hold a slot; wait until one is free.

        Parameters
        ----------
        caller
            Who asks.
        address
            Where they call from.
        begun
            Whether the query has begun before, so that it is not refused any more.

        Raises
        ------
        BusyError
            Too many queries wait, or this one has waited too long.
        """
        size = min(self._quotas.of(caller).sync_queries, self._half)
        keys: tuple[tuple[Hashable, int], ...] = ((caller.name, size),)
        if caller.name is None:
            keys = (((None, address), size), (None, self._half))
        shares = [self._share(*key) for key in keys]
        held: list[asyncio.Semaphore] = []
        try:
            await self._wait([*shares, self._all], held, begun=begun)
            yield
        finally:
            for semaphore in reversed(held):
                semaphore.release()
            for key, _ in keys:
                self._leave(key)

    async def _wait(
        self, wanted: list[asyncio.Semaphore], held: list[asyncio.Semaphore], *, begun: bool
    ) -> None:
        """Get hold of some semaphores, one after the other."""
        free = not any(semaphore.locked() for semaphore in wanted)
        if not (free or begun):
            if self._room <= 0:
                raise BusyError(
                    "Too many queries wait already. Try again in a few seconds, or run the query "
                    "as an asynchronous job."
                )
            self._room -= 1
        try:
            async with asyncio.timeout(None if free or begun else self._seconds):
                for semaphore in wanted:
                    await semaphore.acquire()
                    held.append(semaphore)
        except TimeoutError:
            raise BusyError(
                f"The query waited for {self._seconds:g} s and could not begin, as many others "
                "run. Try again later, or run it as an asynchronous job."
            ) from None
        finally:
            if not (free or begun):
                self._room += 1

    def _share(self, key: Hashable, size: int) -> asyncio.Semaphore:
        share, users = self._shares.get(key, (asyncio.Semaphore(size), 0))
        self._shares[key] = share, users + 1
        return share

    def _leave(self, key: Hashable) -> None:
        share, users = self._shares.pop(key)
        if users > 1:
            self._shares[key] = share, users - 1
