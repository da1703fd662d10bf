"""How many jobs wait and run, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from prometheus_client.core import GaugeMetricFamily, Metric

from cerro_services.context import Context
from cerro_services.uws.model import Phase
from cerro_services.uws.store import JobStore, StoreUnavailableError
from cerro_services.uws.tables import JOBS
from cerro_services.uws.workers import Workers

_WATCHED = (Phase.QUEUED, Phase.EXECUTING)


def gauges(context: Context) -> tuple[Callable[[], Metric], ...]:
    """Give what is measured when Prometheus asks.

    Parameters
    ----------
    context
        What the process shares.
    """
    store = JobStore(context.database)
    workers = Workers(store)

    def jobs() -> Metric:
        made = GaugeMetricFamily("cerro_jobs", "Jobs that wait and run", labels=["kind", "phase"])
        query = sa.select(JOBS.c.kind, JOBS.c.phase, sa.func.count().label("n"))
        query = query.where(JOBS.c.phase.in_(_WATCHED)).group_by(JOBS.c.kind, JOBS.c.phase)
        try:
            with store.transaction() as connection:
                for row in connection.execute(query):
                    made.add_metric([row.kind, row.phase], row.n)
        except StoreUnavailableError:
            # Nothing is better than a wrong number: the metric is missing while the database is.
            made.samples.clear()
        return made

    def processes() -> Metric:
        made = GaugeMetricFamily("cerro_job_processes", "Jobs that all workers run at once")
        try:
            made.add_metric([], workers.processes())
        except StoreUnavailableError:
            made.samples.clear()
        return made

    return jobs, processes
