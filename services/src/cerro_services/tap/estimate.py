"""What a query would cost, before it is run: at /estimate, where other databases have EXPLAIN."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from cerro_services.access import Caller
from cerro_services.adql import Query
from cerro_services.context import Context
from cerro_services.engine import Estimate
from cerro_services.parameters import Parameters
from cerro_services.release import Catalog
from cerro_services.tap.answer import Answer
from cerro_services.tap.question import Question
from cerro_services.tap.views import Views
from cerro_services.uploads import Upload, limits_of, receive, scratch_of, spool_of

_SHARE = 0.2
"""A query that is estimated to take more of the time it may than this is better run as a job:
joins and sorting come on top of the estimate, and others may run too."""


async def estimated(
    request: Request, context: Context, views: Views, caller: Caller
) -> dict[str, Any]:
    """Say what a query would cost.

    Parameters
    ----------
    request
        With the parameters of a synchronous query.
    context
        What the services share.
    views
        What callers see.
    caller
        Who asks.

    Returns
    -------
    dict
        Rows and bytes that are read, seconds, the tables, and how the query is best run.

    Raises
    ------
    CerroError
        The query or a parameter is wrong.
    """
    longest = 4 * context.settings.query_limit
    parameters = await Parameters.read(request, longest=longest, spool=spool_of(context, caller))
    scratch = scratch_of(context) if parameters.values.get("UPLOAD") else None
    address = request.client.host if request.client is not None else ""
    try:
        uploads: tuple[Upload, ...] = ()
        if scratch is not None:
            uploads = await receive(parameters, scratch.path, limits_of(context, caller))
        question = Question.read(parameters, None, context.settings, uploads)
        answer = Answer(context, views, question, caller, address)
        async with context.slots.of(caller, address):
            return await run_in_threadpool(_estimate, context, answer)
    finally:
        if scratch is not None:
            await run_in_threadpool(scratch.remove)


def _estimate(context: Context, answer: Answer) -> dict[str, Any]:
    query, maxrec = answer.compiled(), answer.question.maxrec
    cost = context.engine.estimate(query, limit=maxrec + 1)
    quota = context.quotas.of(answer.caller)
    mode = "async" if cost.seconds > _SHARE * quota.sync_seconds else "sync"
    return {
        "rows_read": cost.rows_read,
        "bytes_read": cost.bytes_read,
        "seconds": round(cost.seconds, 3),
        "maxrec": maxrec,
        "tables": _tables(query),
        "mode": mode,
        "advice": _advice(mode, cost, quota.sync_seconds, quota.job_seconds),
    }


def _tables(query: Query) -> list[dict[str, Any]]:
    """List the tables of a query, each once, with the rows that they hold."""
    found = {scan.table.name: scan.table.stored for scan in query.scans}
    return [
        {"name": name, "rows": stored.nrows if isinstance(stored, Catalog) else stored.num_rows}
        for name, stored in found.items()
    ]


def _advice(mode: str, cost: Estimate, sync_seconds: float, job_seconds: int) -> str:
    if mode == "sync":
        return "Run it synchronously."
    if cost.seconds > job_seconds:
        return (
            f"It would take longer than the {job_seconds:,} s that a job may run. "
            "Limit it to a part of the sky, or to fewer columns."
        )
    return (
        f"Run it as an asynchronous job: it may take longer than the {sync_seconds:g} s that a "
        "synchronous query may run."
    )
