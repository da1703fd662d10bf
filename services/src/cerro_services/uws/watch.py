"""Waiting for a job to change its phase, without a thread for each who waits."""

from __future__ import annotations

import asyncio
import logging
import time

from starlette.concurrency import run_in_threadpool

from cerro_services.uws.store import JobStore, StoreUnavailableError

log = logging.getLogger(__name__)

_SOON, _LATE = 0.006, 0.25
"""How often it is looked: at once after somebody has begun to wait, and much later [s]."""
_PART = 0.05
"""Of the time that the youngest has waited passes so much between two looks."""
_MOST = 1000
"""Requests that wait at once; more are answered at once, which UWS allows."""


class Watch:
    """Tells who waits when a job has changed its phase.

    Workers are other processes, perhaps of other machines, and tell the database only. One query
    asks it for all jobs that are waited for, often at first, as most jobs are short, and then more
    and more seldom.

    Parameters
    ----------
    store
        Where the jobs are.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._waiting: dict[str, dict[asyncio.Future[None], str]] = {}
        self._youngest = 0.0
        self._task: asyncio.Task[None] | None = None

    async def change(self, identity: str, phase: str, seconds: float) -> None:
        """Wait until a job is in another phase, or is gone.

        Parameters
        ----------
        identity
            The job.
        phase
            The phase in which it was.
        seconds
            Seconds to wait at most.
        """
        if seconds <= 0 or sum(map(len, self._waiting.values())) >= _MOST:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        mine = self._waiting.setdefault(identity, {})
        mine[future] = phase
        self._youngest = time.monotonic()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            await asyncio.wait({future}, timeout=seconds)
        finally:
            mine.pop(future, None)
            if not mine and self._waiting.get(identity) is mine:
                del self._waiting[identity]

    async def _look(self) -> None:
        while self._waiting:
            age = time.monotonic() - self._youngest
            await asyncio.sleep(min(max(_SOON, _PART * age), _LATE))
            # Who comes while the database is asked is told by the next look.
            asked = {identity: dict(waiting) for identity, waiting in self._waiting.items()}
            try:
                found = await run_in_threadpool(self._store.phases, list(asked))
            except StoreUnavailableError as error:
                log.warning("the database does not answer: %s", error.__cause__)
                await asyncio.sleep(1)
                continue
            for identity, waiting in asked.items():
                for future, phase in waiting.items():
                    if found.get(identity) != phase and not future.done():
                        future.set_result(None)
