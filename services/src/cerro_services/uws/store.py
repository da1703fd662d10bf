"""Jobs remembered in a database: every change is one statement, so that it happens whole or not."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from cerro_services.errors import CerroError
from cerro_services.uws.model import (
    Failure,
    Job,
    JobNotFoundError,
    Phase,
    Progress,
    Result,
    encoded,
    now,
)
from cerro_services.uws.tables import JOBS, WORKERS, prepare

_CLAIM = 0x6365727230
"""Key of PostgreSQL's lock: workers choose one after the other, so that limits hold."""
_PAGE = 1000


class StoreUnavailableError(CerroError, code="database_unavailable", status=503):
    """The database does not answer."""


class JobStore:
    """Remembers jobs.

    Parameters
    ----------
    database
        Where; its tables are made when they are first needed.
    """

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self._ready = False
        self._lock = threading.Lock()
        self._postgres = database.dialect.name == "postgresql"

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Open a transaction.

        Raises
        ------
        StoreUnavailableError
            The database does not answer.
        """
        try:
            if not self._ready:
                with self._lock:
                    prepare(self._database)
                    self._ready = True
            with self._database.begin() as connection:
                yield connection
        except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
            raise StoreUnavailableError(
                "The database that remembers jobs does not answer. Jobs that were accepted are "
                "kept; try again in a few seconds."
            ) from error

    # ---- what callers do -------------------------------------------------------
    def create(self, job: Job) -> None:
        """Remember a new job."""
        with self.transaction() as connection:
            connection.execute(JOBS.insert(), job.to_row())

    def get(self, identity: str, kind: str) -> Job:
        """Give a job.

        Raises
        ------
        JobNotFoundError
            There is none, or it should have been deleted by now.
        """
        with self.transaction() as connection:
            query = sa.select(JOBS).where(JOBS.c.id == identity, JOBS.c.kind == kind)
            row = connection.execute(query).mappings().first()
        if row is None or row["destruction"] <= now():
            raise JobNotFoundError("There is no such job; it may have been deleted.")
        return Job.from_row(row)

    def count(self, share: str, phases: Collection[Phase] = ()) -> int:
        """Count the jobs of a share: all, or those in some phases."""
        query = sa.select(sa.func.count()).select_from(JOBS).where(JOBS.c.share == share)
        if phases:
            query = query.where(JOBS.c.phase.in_(phases))
        with self.transaction() as connection:
            return int(connection.execute(query).scalar_one())

    def kept(self, share: str) -> int:
        """Give the bytes of all results that a share keeps."""
        query = sa.select(sa.func.coalesce(sa.func.sum(JOBS.c.result_bytes), 0))
        with self.transaction() as connection:
            return int(connection.execute(query.where(JOBS.c.share == share)).scalar_one())

    def listing(
        self,
        owner: str,
        kind: str,
        phases: Collection[Phase] = (),
        after: float | None = None,
        last: int | None = None,
    ) -> Iterator[Sequence[Any]]:
        """Give the jobs of an owner, the newest first.

        Parameters
        ----------
        owner
            User name.
        kind
            What they do.
        phases
            Only those in one of these; all if there is none.
        after
            Only those created later [s since 1970].
        last
            Number of jobs to stop after.

        Yields
        ------
        sequence of rows
            With id, phase, run_id, owner and created; so many at once.
        """
        c = JOBS.c
        query = (
            sa.select(c.id, c.phase, c.run_id, c.owner, c.created)
            .where(c.owner == owner, c.kind == kind, c.destruction > now())
            .order_by(c.created.desc(), c.id.desc())
        )
        if phases:
            query = query.where(c.phase.in_(phases))
        if after is not None:
            query = query.where(c.created > after)
        left = last
        page: Sequence[Any] = ()
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            further = query
            if page:
                further = query.where(sa.tuple_(c.created, c.id) < (page[-1].created, page[-1].id))
            # A transaction for each page: whoever reads slowly must keep no connection from others.
            with self.transaction() as connection:
                page = connection.execute(further.limit(size)).all()
            if page:
                yield page
            if len(page) < size:
                return
            left = None if left is None else left - size

    def phases(self, identities: Collection[str]) -> dict[str, str]:
        """Give the phases of some jobs, of those that are still there."""
        query = sa.select(JOBS.c.id, JOBS.c.phase).where(JOBS.c.id.in_(identities))
        with self.transaction() as connection:
            return {row.id: row.phase for row in connection.execute(query)}

    def change(self, identity: str, among: Collection[Phase], **fields: Any) -> bool:
        """Change a job if it is in one of some phases.

        Returns
        -------
        bool
            Whether it was.
        """
        statement = (
            JOBS.update()
            .where(JOBS.c.id == identity, JOBS.c.phase.in_(among))
            .values(encoded(fields))
        )
        with self.transaction() as connection:
            return connection.execute(statement).rowcount > 0

    def delete(self, identity: str) -> None:
        """Forget a job."""
        with self.transaction() as connection:
            connection.execute(JOBS.delete().where(JOBS.c.id == identity))

    # ---- what workers do ---------------------------------------------------------
    def claim(self, worker: str) -> Job | None:
        """Take the next job: of the owner with the fewest running the one that waits longest.

        Parameters
        ----------
        worker
            Who takes it.

        Returns
        -------
        Job or None
            None if none may run now.
        """
        running = (
            sa.select(JOBS.c.share, sa.func.count().label("n"))
            .where(JOBS.c.phase == Phase.EXECUTING)
            .group_by(JOBS.c.share)
            .subquery()
        )
        waiting = JOBS.alias()
        # All without a token together get half of the processes: a place stays for the others.
        guests = (
            sa.select(sa.func.count() * 2)
            .where(JOBS.c.phase == Phase.EXECUTING, JOBS.c.owner.is_(None))
            .scalar_subquery()
        )
        processes = sa.select(sa.func.coalesce(sa.func.sum(WORKERS.c.processes), 1))
        room = sa.or_(waiting.c.owner.is_not(None), guests < processes.scalar_subquery())
        count = sa.func.coalesce(running.c.n, 0)
        chosen = (
            sa.select(waiting.c.id)
            .select_from(waiting.outerjoin(running, running.c.share == waiting.c.share))
            .where(waiting.c.phase == Phase.QUEUED, count < waiting.c.running_limit, room)
            .order_by(count, waiting.c.queued)
            .limit(1)
            .scalar_subquery()
        )
        statement = (
            JOBS.update()
            .where(JOBS.c.id == chosen)
            .values(
                phase=Phase.EXECUTING,
                worker=worker,
                started=now(),
                attempts=JOBS.c.attempts + 1,
                progress=None,
            )
            .returning(JOBS)
        )
        with self.transaction() as connection:
            if self._postgres:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLAIM)))
            row = connection.execute(statement).mappings().first()
        return None if row is None else Job.from_row(row)

    def runs(self, job: Job) -> bool:
        """Whether a job is still to be run by whoever claimed it."""
        with self.transaction() as connection:
            return connection.execute(sa.select(JOBS.c.id).where(*_mine(job))).first() is not None

    def advance(self, job: Job, progress: Progress, quote: float | None) -> bool:
        """Say how far a job is; False if it is no longer to be run."""
        fields = encoded({"progress": progress, "quote": quote})
        return self.change_mine(job, fields)

    def complete(self, job: Job, results: tuple[Result, ...], progress: Progress) -> bool:
        """Note the results of a job; False if it was aborted or deleted before."""
        fields = {"phase": Phase.COMPLETED, "results": results, "progress": progress}
        return self.change_mine(job, encoded(fields) | {"ended": now()})

    def fail(self, job: Job, failure: Failure, phase: Phase = Phase.ERROR) -> bool:
        """Note why a job did not complete; False if it was aborted or deleted before."""
        fields = encoded({"phase": phase, "failure": failure})
        return self.change_mine(job, fields | {"ended": now()})

    def give_back(self, job: Job) -> bool:
        """Let a job wait again, as if it had not been started."""
        fields = {"phase": Phase.QUEUED, "worker": None, "started": None}
        return self.change_mine(job, encoded(fields) | {"attempts": job.attempts - 1})

    def change_mine(self, job: Job, values: dict[str, Any]) -> bool:
        """Change a job that this worker runs; False if it was aborted or deleted before."""
        with self.transaction() as connection:
            done = connection.execute(JOBS.update().where(*_mine(job)).values(values))
        return done.rowcount > 0


def _mine(job: Job) -> tuple[sa.ColumnElement[bool], ...]:
    """Give the conditions under which a job still is the one that was claimed."""
    c = JOBS.c
    return (
        c.id == job.id,
        c.phase == str(Phase.EXECUTING),
        c.worker == job.worker,
        c.attempts == job.attempts,
    )


def new_identity() -> str:
    """Make an identifier that nobody guesses: 120 random bits."""
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
    return "".join(secrets.choice(alphabet) for _ in range(24))
