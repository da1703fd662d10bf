"""All kinds of jobs that a worker can run."""

from __future__ import annotations

from cerro_services.context import Context
from cerro_services.cutout import jobs as cutout_jobs
from cerro_services.tap import jobs as tap_jobs
from cerro_services.tap import tableupdate
from cerro_services.tap.views import Views
from cerro_services.uws import Kind


def kinds(context: Context) -> dict[str, Kind]:
    """Make all kinds of jobs.

    Parameters
    ----------
    context
        What the process shares.
    """
    views = Views(context.resolve, context.settings.base_url)
    every = (
        tap_jobs.kind(context, views),
        tableupdate.kind(context),
        *cutout_jobs.kinds(context, views),
    )
    return {made.name: made for made in every}
