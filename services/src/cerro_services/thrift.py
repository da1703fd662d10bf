"""Memory that is free is given back to the system.

The C library keeps what was freed, and so does Arrow: a process that once planned a large query, or
was crowded, would hold for ever what that took.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import resource
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from starlette.concurrency import run_in_threadpool

EVERY = 10.0
"""Seconds between two looks."""
GROWN = 32 << 20
"""Bytes by which a process must have grown since it began for it to be worth the while."""


async def thrifty(every: float = EVERY) -> None:
    """Give back free memory now and then, where the process has grown; until cancelled.

    Parameters
    ----------
    every
        Seconds between two looks.
    """
    begun = held()
    while True:
        await asyncio.sleep(every)
        if held() > begun + GROWN:
            await run_in_threadpool(give_back)


def held() -> int:
    """Give the bytes of memory that this process holds."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def give_back() -> None:
    """Give back what is free."""
    pa.default_memory_pool().release_unused()
    trim = _trim()
    if trim is not None:
        trim(0)


def _trim() -> Callable[[int], int] | None:
    """Give the C library's own function, where it has one: glibc's has."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
