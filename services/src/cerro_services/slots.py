"""Who may run queries at once: so many in all, and no one caller more than a share of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class Slots:
    """Lets no more queries run at once than there are slots.

    A caller gets half of the slots at most, and so does everybody without a token together, of whom
    each address gets a quarter: nobody's long queries keep all others waiting.

    Parameters
    ----------
    total
        Number of slots.
    """

    def __init__(self, total: int) -> None:
        self._all = asyncio.Semaphore(total)
        self._half, self._quarter = max(1, total // 2), max(1, total // 4)
        self._shares: dict[Hashable, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def of(self, name: str | None, address: str = "") -> AsyncIterator[None]:
        """Hold a slot; wait until one is free.

        Parameters
        ----------
        name
            The caller; None for those without a token.
        address
            Where they call from.
        """
        if name is not None:
            async with self._share(name, self._half), self._all:
                yield
        else:
            async with (
                self._share((None, address), self._quarter),
                self._share(None, self._half),
                self._all,
            ):
                yield

    @asynccontextmanager
    async def _share(self, key: Hashable, size: int) -> AsyncIterator[None]:
        share, users = self._shares.get(key, (asyncio.Semaphore(size), 0))
        self._shares[key] = share, users + 1
        try:
            async with share:
                yield
        finally:
            share, users = self._shares.pop(key)
            if users > 1:
                self._shares[key] = share, users - 1
