"""What callers do with their jobs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cerro_services.access import Caller
from cerro_services.context import Context
from cerro_services.errors import CerroError
from cerro_services.quotas import Quota
from cerro_services.uws.files import Files
from cerro_services.uws.kinds import Kind
from cerro_services.uws.model import (
    ACTIVE,
    Job,
    JobError,
    JobNotFoundError,
    Pairs,
    Phase,
    TooManyJobsError,
    now,
)
from cerro_services.uws.queue import Queue
from cerro_services.uws.store import JobStore, new_identity
from cerro_services.uws.terms import (
    CONTROL,
    control_of,
    destruction_of,
    duration_of,
    instant_of,
    phase_of,
    run_id_of,
)

log = logging.getLogger(__name__)

_DAY = 86_400.0
_BEFORE_RUN = (Phase.PENDING, Phase.QUEUED)
_BUSY = (Phase.QUEUED, Phase.EXECUTING)


class JobStateError(CerroError, code="job_state", status=403):
    """The job is past the point where this could be done (UWS 1.1 §2.2.3)."""


@dataclass(frozen=True)
class Who:
    """Who calls, and from where.

    Parameters
    ----------
    caller
        Who.
    address
        Where.
    """

    caller: Caller
    address: str

    @property
    def share(self) -> str:
        """Whose jobs theirs count as."""
        name = self.caller.name
        return f"user:{name}" if name is not None else f"address:{self.address}"


class Jobs:
    """Jobs of one kind.

    Parameters
    ----------
    context
        What the services share.
    kind
        The kind.
    """

    def __init__(self, context: Context, kind: Kind) -> None:
        self.kind = kind
        self.store = JobStore(context.database)
        self.files = Files(context.settings.job_files)
        self._quotas = context.quotas
        self._queue = Queue(context.settings)

    # ---- find ------------------------------------------------------------------
    def get(self, who: Who, identity: str) -> Job:
        """Give a job of the caller, or of nobody in particular.

        Raises
        ------
        JobNotFoundError
            There is none, or it is another's: what one may not see does not exist.
        """
        job = self.store.get(identity, self.kind.name)
        if job.owner is not None and job.owner != who.caller.name:
            raise JobNotFoundError("There is no such job; it may have been deleted.")
        return job

    def listing(
        self, who: Who, phases: Sequence[str], after: str | None, last: str | None
    ) -> Iterator[Sequence[Any]]:
        """Give the jobs of the caller (UWS 1.1 §2.2.2.1); nothing to those without a token.

        Raises
        ------
        JobError
            A filter is wrong.
        """
        wanted = {phase_of(text) for text in phases if text}
        since = None if after is None else instant_of("AFTER", after)
        if last is not None and not (last.isascii() and last.isdigit() and 0 < int(last) < 2**31):
            raise JobError(f"LAST must be a whole number of jobs, at least 1, not {last!r}.")
        count = None if last is None else int(last)
        if who.caller.name is None:
            return iter(())
        return self.store.listing(who.caller.name, self.kind.name, wanted, since, count)

    # ---- make and change -----------------------------------------------------------
    def new_identity(self, who: Who) -> str:
        """Give the identifier of a job to be made.

        Raises
        ------
        TooManyJobsError
            The caller has as many jobs as they may.
        """
        quota = self._quotas.of(who.caller)
        if self.store.count(who.share) >= quota.kept_jobs:
            raise TooManyJobsError(
                f"You have {quota.kept_jobs:,} jobs, as many as are kept. Delete some."
            )
        return new_identity()

    def create(self, who: Who, identity: str, pairs: Pairs) -> Job:
        """Make a job; run it if PHASE=RUN is among its parameters.

        Raises
        ------
        JobError
            A parameter is wrong.
        """
        quota = self._quotas.of(who.caller)
        control = control_of(pairs)
        phase = control.get("PHASE")
        if phase not in {None, "", "RUN"}:
            raise JobError(f"A new job can be given PHASE=RUN, not PHASE={phase}.")
        parameters = tuple(pair for pair in pairs if pair[0] not in CONTROL)
        self.kind.check(parameters, who.caller)
        created = now()
        job = Job(
            identity,
            self.kind.name,
            who.caller.name,
            who.share,
            created,
            created + _DAY * quota.keep_days,
            quota.job_seconds,
            who.caller.groups,
            who.caller.scopes,
            run_id=run_id_of(pairs),
            parameters=parameters,
            running_limit=quota.running_jobs,
        )
        if control.get("DESTRUCTION"):
            job = replace(job, destruction=destruction_of(control["DESTRUCTION"], job, quota))
        if control.get("EXECUTIONDURATION"):
            job = replace(job, duration=duration_of(control["EXECUTIONDURATION"], quota))
        if phase == "RUN":
            self._check_room(who, quota)
            job = replace(job, phase=Phase.QUEUED, queued=created)
        self.store.create(job)
        if phase == "RUN":
            self._send()
        return job

    def set_phase(self, who: Who, job: Job, phase: str) -> None:
        """Run or abort a job.

        Raises
        ------
        JobError
            The phase is neither RUN nor ABORT.
        JobStateError
            The job has ended, so it does not run again.
        """
        if phase == "RUN":
            self._start(who, job)
        elif phase == "ABORT":
            self.store.change(job.id, ACTIVE, phase=Phase.ABORTED, ended=now())
        else:
            raise JobError(f"PHASE can be set to RUN or ABORT, not to {phase or 'nothing'}.")

    def set_parameters(self, job: Job, pairs: Pairs) -> None:
        """Set parameters of a job that does not run yet; others stay.

        Raises
        ------
        JobStateError
            It does, or has.
        """
        new = tuple(pair for pair in pairs if pair[0] not in CONTROL)
        if not new:
            raise JobError("There is no parameter to set.")
        self.kind.check(new, job.caller)
        names = {name for name, _ in new}
        parameters = (*(pair for pair in job.parameters if pair[0] not in names), *new)
        fields: dict[str, Any] = {"parameters": parameters}
        if "RUNID" in names:
            fields["run_id"] = run_id_of(new)
        if not self.store.change(job.id, [Phase.PENDING], **fields):
            raise JobStateError("The job's parameters can be changed only while it is PENDING.")

    def set_destruction(self, who: Who, job: Job, text: str) -> None:
        """Say when a job is to be deleted, within what the quota gives."""
        quota = self._quotas.of(who.caller)
        self.store.change(job.id, list(Phase), destruction=destruction_of(text, job, quota))

    def set_duration(self, who: Who, job: Job, text: str) -> None:
        """Say how many seconds a job may run, within what the quota gives.

        Raises
        ------
        JobStateError
            It runs already, or has.
        """
        duration = duration_of(text, self._quotas.of(who.caller))
        if not self.store.change(job.id, _BEFORE_RUN, duration=duration):
            raise JobStateError("The duration can be changed only before the job runs.")

    def delete(self, job: Job) -> None:
        """Delete a job with its results; a worker that runs it stops."""
        self.store.delete(job.id)
        self.files.remove(job.id)

    def quote(self, job: Job) -> float | None:
        """Give when a job will have ended if it is run now [s since 1970]; None if unknown."""
        if job.quote is not None or job.phase not in _BEFORE_RUN or self.kind.estimate is None:
            return job.quote
        try:
            quote = now() + self.kind.estimate(job.parameters, job.caller).seconds
        except CerroError:
            # What is wrong with it is told when it runs.
            return None
        self.store.change(job.id, _BEFORE_RUN, quote=quote)
        return quote

    # ---- inside ----------------------------------------------------------------
    def _start(self, who: Who, job: Job) -> None:
        if job.phase in {Phase.QUEUED, Phase.EXECUTING}:
            return
        quota = self._quotas.of(who.caller)
        self._check_room(who, quota)
        started = self.store.change(
            job.id,
            [Phase.PENDING],
            phase=Phase.QUEUED,
            queued=now(),
            groups=who.caller.groups if job.owner is not None else frozenset(),
            running_limit=quota.running_jobs,
        )
        if started:
            self._send()
        elif self.store.phases([job.id]).get(job.id) not in {Phase.QUEUED, Phase.EXECUTING}:
            raise JobStateError(
                f"The job has ended ({job.phase}); a job runs once. Make a new one."
            )

    def _check_room(self, who: Who, quota: Quota) -> None:
        if self.store.count(who.share, _BUSY) >= quota.queued_jobs:
            raise TooManyJobsError(
                f"{quota.queued_jobs:,} of your jobs wait or run, as many as may. Run this one "
                "when some of them have ended."
            )

    def _send(self) -> None:
        try:
            self._queue.send()
        except Exception:
            # The job is remembered: a worker finds it within seconds even so.
            log.exception("no message could be sent to the workers")
