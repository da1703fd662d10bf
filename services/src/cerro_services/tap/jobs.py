"""What an asynchronous query does (TAP 1.1 §2.3): the same as a synchronous one, into a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from cerro_services.access import PUBLIC, READ_TAP, Caller
from cerro_services.context import Context
from cerro_services.engine import Estimate as Cost
from cerro_services.formats import votable
from cerro_services.parameters import Parameters
from cerro_services.tap.answer import Answer
from cerro_services.tap.availability import Finding
from cerro_services.tap.keeping import destination, keep, widened
from cerro_services.tap.question import Question
from cerro_services.tap.tofile import write
from cerro_services.tap.views import Views
from cerro_services.uploads import Upload, limits_of, receive, spool_of
from cerro_services.uws import Estimate, Kind, Pairs, Progress, Task
from cerro_services.uws.store import JobStore, StoreUnavailableError
from cerro_services.uws.workers import Workers

KIND = "tap"
PREFIX = "/api/tap/async"
_FIRST = "SELECT TOP 1 table_name FROM tap_schema.tables"
_UPLOADS = "uploads.json"
_GRACE = 10.0
"""Seconds that a query may run beyond its job, which the worker ends."""


def kind(context: Context, views: Views) -> Kind:
    """Make the kind of job that answers ADQL.

    Parameters
    ----------
    context
        What the process shares.
    views
        What callers see.
    """
    queries = Queries(context, views)
    return Kind(
        KIND,
        PREFIX,
        READ_TAP,
        run=queries.run,
        failure=_failure,
        receive=queries.receive,
        estimate=queries.estimate,
        warm=queries.warm,
    )


def check(context: Context) -> Callable[[], Finding]:
    """Give a check whether jobs are run, for the availability.

    Parameters
    ----------
    context
        What the process shares.
    """
    workers = Workers(JobStore(context.database))

    def found() -> Finding:
        try:
            processes = workers.processes()
        except StoreUnavailableError:
            return Finding(good=False, note="Asynchronous jobs are not accepted.")
        if not processes:
            # Synchronous queries are answered, so the service as a whole is there.
            return Finding(
                good=True, note="Asynchronous jobs are accepted and wait: no worker runs them now."
            )
        return Finding(good=True, note=f"Asynchronous jobs are run, {processes} at once.")

    return found


class Queries:
    """Asynchronous queries.

    Parameters
    ----------
    context
        What the process shares.
    views
        What callers see.
    """

    def __init__(self, context: Context, views: Views) -> None:
        self._context, self._views = context, views

    async def receive(self, request: Request, folder: Path, caller: Caller) -> Pairs:
        """Read the parameters of a request, and put its uploads into the job's folder."""
        longest = 4 * self._context.settings.query_limit
        spool = spool_of(self._context, caller)
        parameters = await Parameters.read(request, longest=longest, spool=spool)
        destination(parameters, caller)
        if parameters.values.get("UPLOAD"):
            await run_in_threadpool(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
            uploads = await receive(parameters, folder, limits_of(self._context, caller))
            await run_in_threadpool(_note, uploads, folder)
        return tuple((name, value) for name, all_ in parameters.values.items() for value in all_)

    def warm(self) -> None:
        """Answer a query as the public."""
        seen = self._views.of(self._context, PUBLIC)
        stream = self._context.engine.stream(self._views.query(seen, _FIRST), limit=1)
        try:
            stream.begin()
        finally:
            stream.close()

    def run(self, task: Task) -> None:
        """Answer the query of a job."""
        uploads = noted(task.folder)
        question = Question.read(task.parameters, None, self._context.settings, uploads)
        answer = Answer(
            self._context,
            self._views,
            question,
            task.caller,
            seconds=task.job.duration + _GRACE,
            mode="async",
            job=task.job.id,
        )
        task.on_stop(answer.stop)
        task.progress = _Watched(self._context, answer)
        kept = destination(task.parameters, task.caller)
        if kept is not None:
            answer.question = widened(question, task.parameters, task.quota.maxrec)
            keep(self._context, answer, task, kept)
            return
        name = f"result.{question.form.extension}"
        with task.write("result", question.form.mime, name) as file:
            outcome = write(answer, cast("IO[bytes]", file))
            file.headers |= outcome.headers

    def estimate(self, parameters: Pairs, caller: Caller) -> Estimate:
        """Say what a query will cost; its uploads are not counted."""
        values: dict[str, list[str]] = {}
        for name, value in parameters:
            values.setdefault(name, []).append(value)
        question = Question.read(Parameters(values), None, self._context.settings)
        query = self._views.query(self._views.of(self._context, caller), question.adql)
        cost = self._context.engine.estimate(query, limit=question.maxrec + 1)
        return Estimate(cost.rows_read, cost.bytes_read, cost.seconds)


class _Watched:
    """Tells how far an answer is, and what it will cost as soon as somebody asks."""

    def __init__(self, context: Context, answer: Answer) -> None:
        self._context, self._answer = context, answer
        self._cost: Cost | None = None

    def __call__(self) -> Progress:
        answer, cost = self._answer, self._cost
        if cost is None and answer.query is not None and not answer.closed:
            limit = answer.question.maxrec + 1
            cost = self._cost = self._context.engine.estimate(answer.query, limit=limit)
        share = answer.progress
        return Progress(
            None if share is None else 100 * share,
            answer.rows.count,
            answer.bytes,
            None if cost is None else cost.rows_read,
            None if cost is None else cost.seconds,
        )


def _note(uploads: Sequence[Upload], folder: Path) -> None:
    """Write down the uploads of a job in its folder, where a worker finds them."""
    found = [upload.as_document() | {"path": upload.path.name} for upload in uploads]
    (folder / _UPLOADS).write_text(json.dumps(found), encoding="utf-8")
    kept = {upload.path for upload in uploads}
    for earlier in set(folder.glob("upload-*")) - kept:
        earlier.unlink()


def noted(folder: Path) -> tuple[Upload, ...]:
    """Give the uploads of a job, as they were noted in its folder."""
    try:
        found = json.loads((folder / _UPLOADS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    return tuple(Upload.from_document(one | {"path": folder / one["path"]}) for one in found)


def _failure(message: str) -> tuple[bytes, str]:
    return votable.failure(message), votable.MIME
