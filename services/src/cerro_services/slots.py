"""Who may run queries at once: so many in all, and no one caller more than half of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """Lets no more queries run at once than there are slots.

    A caller gets half of the slots at most, so that nobody's long queries keep all others waiting.
    Everybody without a token is one caller.

    Parameters
    ----------
    total
        Number of slots.
    """

    def __init__(self, total: int) -> None:
        self._all = asyncio.Semaphore(total)
        self._share = max(1, total // 2)
        self._callers: dict[str | None, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def of(self, name: str | None) -> AsyncIterator[None]:
        """Hold a slot; wait until one is free.

        Parameters
        ----------
        name
            The caller; None for those without a token.
        """
        own, users = self._callers.get(name, (asyncio.Semaphore(self._share), 0))
        self._callers[name] = own, users + 1
        try:
            async with own, self._all:
                yield
        finally:
            own, users = self._callers.pop(name)
            if users > 1:
                self._callers[name] = own, users - 1
