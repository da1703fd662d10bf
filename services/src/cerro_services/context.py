"""What the services of one process share, wired in one place."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

import httpx
from pydantic import ByteSize, TypeAdapter
from sqlalchemy import Engine as Database

from cerro_services.access import Callers
from cerro_services.adql.resolver import Resolve, resolver
from cerro_services.config import Settings
from cerro_services.database import connect
from cerro_services.engine import DuckDBEngine, Engine, Limits
from cerro_services.quotas import Quotas
from cerro_services.release.stores import Stores, stores
from cerro_services.slots import Slots


@dataclass(frozen=True)
class Context:
    """What the services of one process share.

    Parameters
    ----------
    settings
        What the process was told.
    store
        The releases.
    engine
        Runs queries.
    callers
        Finds out who calls.
    workers
        Threads in which queries run and results are written.
    client
        Connects to the Hub.
    slots
        Lets no more queries run at once than the settings allow, nor one caller take them all.
    quotas
        How much a caller may use.
    database
        Remembers jobs and users' tables.
    started
        When the process began to serve.
    """

    settings: Settings
    store: Stores
    engine: Engine
    callers: Callers
    workers: ThreadPoolExecutor
    client: httpx.AsyncClient
    slots: Slots
    quotas: Quotas
    database: Database
    started: datetime

    @classmethod
    def build(cls, settings: Settings) -> Context:
        """Make everything from the settings."""
        spill = settings.spill
        if spill is not None:
            spill.mkdir(parents=True, exist_ok=True)
            # What spills may be of a restricted release.
            spill.chmod(0o700)
        if settings.releases is not None:
            settings.releases.mkdir(parents=True, exist_ok=True)
        store = stores(
            settings.releases,
            settings.buckets,
            settings.cache,
            TypeAdapter(ByteSize).validate_python(settings.cache_size),
            settings.bucket_seconds,
        )
        quotas = quotas_of(settings)
        client = httpx.AsyncClient(timeout=5.0, trust_env=False)
        return cls(
            settings,
            store,
            _engine(settings, store),
            Callers(settings.hub_api_url, client, settings.token_cache),
            _Workers(settings.concurrent_queries + 8, thread_name_prefix="query"),
            client,
            Slots(
                settings.concurrent_queries,
                quotas,
                waiting=settings.waiting_queries,
                seconds=settings.waiting_seconds,
            ),
            quotas,
            connect(settings.database),
            datetime.now(UTC),
        )

    @cached_property
    def resolve(self) -> Resolve | None:
        """What finds positions of objects by their names; None where no service is configured."""
        url = self.settings.resolver_url
        return None if url is None else resolver(url)

    async def close(self) -> None:
        """Stop what runs and give everything back."""
        self.store.close()
        self.engine.close()
        await self.client.aclose()
        self.database.dispose()
        self.workers.shutdown(wait=False, cancel_futures=True)


def quotas_of(settings: Settings) -> Quotas:
    """Give the quotas that the settings say."""
    ceilings = {"maxrec": settings.maxrec_hard, "sync_seconds": settings.sync_seconds}
    return Quotas(settings.quotas, ceilings)


def _engine(settings: Settings, store: Stores) -> Engine:
    """Make what runs queries."""
    limits = Limits(settings.memory, settings.threads, settings.spill, settings.spill_size)
    near = DuckDBEngine(_folders(settings, store), limits)
    if settings.engine == "duckdb":
        return near
    from cerro_services.engine.spark import SparkEngine
    from cerro_services.engine.tiered import TieredEngine

    far = SparkEngine(
        str(settings.spark_url),
        settings.releases or settings.home / "releases",
        settings.spark_releases,
        settings.spark_cores,
        [mirror.root for mirror in store.mirrors],
    )
    return TieredEngine(near, far, settings.spark_from)


def _folders(settings: Settings, store: Stores) -> list[Path]:
    """Give the folders whose Parquet queries may read: releases, and what users brought."""
    brought = [f for f in (settings.uploads, settings.usertables, settings.job_files) if f]
    for folder in brought:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [*store.roots, *brought]


class _Workers(ThreadPoolExecutor):
    """Threads that know for which request they work, so that their log lines say it."""

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return super().submit(copy_context().run, partial(fn, *args, **kwargs))
