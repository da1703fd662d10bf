"""What must be done from time to time: tables expire, and files of killed processes go."""

from __future__ import annotations

import asyncio
import logging

from starlette.concurrency import run_in_threadpool

from cerro_services import scratch
from cerro_services.context import Context
from cerro_services.usertables.tables import of

log = logging.getLogger(__name__)

EVERY = 3600.0
"""Seconds between two rounds."""


async def upkeep(context: Context) -> None:
    """Clean up now and then, until cancelled; several processes may do so at once.

    Parameters
    ----------
    context
        What the services share.
    """
    while True:
        try:
            await run_in_threadpool(clean, context)
        except Exception:
            log.exception("the upkeep of users' tables failed")
        await asyncio.sleep(EVERY)


def clean(context: Context) -> None:
    """Delete expired tables, and what killed processes left of uploads."""
    settings = context.settings
    if settings.uploads is not None:
        scratch.sweep(settings.uploads)
    if settings.usertables is not None and settings.usertables.is_dir():
        scratch.sweep(settings.usertables / ".scratch")
        of(context).sweep()
