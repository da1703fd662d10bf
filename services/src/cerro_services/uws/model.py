"""A job and what it goes through (UWS 1.1 §2.1)."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from cerro_services.access import Caller
from cerro_services.errors import CerroError

Pairs = tuple[tuple[str, str], ...]
"""Parameters in the order they were sent: name in upper case, value."""


class Phase(StrEnum):
    """Where a job stands. HELD, SUSPENDED and ARCHIVED are not used."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    ABORTED = "ABORTED"
    UNKNOWN = "UNKNOWN"
    HELD = "HELD"
    SUSPENDED = "SUSPENDED"
    ARCHIVED = "ARCHIVED"


ACTIVE = frozenset({Phase.PENDING, Phase.QUEUED, Phase.EXECUTING})
"""Phases that a job leaves again (UWS 1.1 §2.2.1.2)."""


class JobError(CerroError, code="job_error", status=400):
    """What is asked of a job cannot be done."""


class JobNotFoundError(CerroError, code="job_not_found", status=404):
    """There is no such job, or not for this caller."""


class TooManyJobsError(CerroError, code="too_many_jobs", status=429):
    """The caller has as many jobs as they may."""


@dataclass(frozen=True)
class Result:
    """A result that is kept.

    Parameters
    ----------
    id
        Its name within the job.
    mime
        Content-Type.
    size
        Bytes.
    file
        Name of the file in the job's folder.
    headers
        Further headers of the response that gives it.
    """

    id: str
    mime: str
    size: int
    file: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """Why a job did not complete.

    Parameters
    ----------
    message
        For the person who must act.
    transient
        Whether the same job may succeed another time.
    """

    message: str
    transient: bool = False


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Parameters
    ----------
    percent
        Of the work; None if it cannot be known.
    rows
        Rows written.
    bytes
        Bytes written.
    rows_read
        Rows that are read in all, by the estimate.
    seconds
        Seconds that the job takes in all, by the estimate.
    """

    percent: float | None = None
    rows: int | None = None
    bytes: int | None = None
    rows_read: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Job:
    """A job as it is remembered. Times are seconds since 1970 (UTC).

    Parameters
    ----------
    id
        Its identifier, which cannot be guessed.
    kind
        What it does.
    owner
        User name; None if the caller had no token.
    share
        Whose jobs it counts as: the owner's, or those of an address.
    groups, scopes
        The caller's.
    phase
        Where it stands.
    run_id
        The client's name for it.
    parameters
        What the client sent.
    created, queued, started, ended
        When it was.
    destruction
        When it is deleted.
    duration
        Seconds that it may run.
    quote
        When it will have ended, by the estimate.
    results
        What it gave.
    failure
        Why it did not complete.
    progress
        How far it is.
    running_limit
        Jobs of its share that may run at once.
    attempts
        How often it was started.
    worker
        Who runs it.
    """

    id: str
    kind: str
    owner: str | None
    share: str
    created: float
    destruction: float
    duration: int
    groups: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    phase: Phase = Phase.PENDING
    run_id: str | None = None
    parameters: Pairs = ()
    queued: float | None = None
    started: float | None = None
    ended: float | None = None
    quote: float | None = None
    results: tuple[Result, ...] = ()
    failure: Failure | None = None
    progress: Progress = field(default_factory=Progress)
    running_limit: int = 1
    attempts: int = 0
    worker: str | None = None

    @property
    def caller(self) -> Caller:
        """Who the job runs for."""
        return Caller(self.owner, self.groups, self.scopes)

    def result(self, name: str) -> Result | None:
        """Give a result by its name; None if there is none."""
        return next((found for found in self.results if found.id == name), None)

    def to_row(self) -> dict[str, Any]:
        """Give the job as the database keeps it."""
        row = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return row | encoded(row)

    @classmethod
    def from_row(cls, row: Any) -> Self:
        """Make a job of what the database keeps."""
        fields = dict(row)
        fields.pop("result_bytes", None)
        fields["phase"] = Phase(fields["phase"])
        fields["groups"] = frozenset(json.loads(fields["groups"]))
        fields["scopes"] = frozenset(json.loads(fields["scopes"]))
        fields["parameters"] = tuple((name, value) for name, value in json.loads(row["parameters"]))
        fields["results"] = tuple(Result(**one) for one in json.loads(fields["results"] or "[]"))
        failure = fields["failure"]
        fields["failure"] = Failure(**json.loads(failure)) if failure else None
        fields["progress"] = Progress(**json.loads(fields["progress"] or "{}"))
        return cls(**fields)


def encoded(fields: dict[str, Any]) -> dict[str, Any]:
    """Give fields of a job as the database keeps them."""
    row = dict(fields)
    for name in row.keys() & {"groups", "scopes"}:
        row[name] = json.dumps(sorted(row[name]))
    if "parameters" in row:
        row["parameters"] = json.dumps(row["parameters"])
    if "results" in row:
        results = row["results"]
        row["results"] = json.dumps([asdict(one) for one in results]) if results else None
        row["result_bytes"] = sum(one.size for one in results)
    for name in row.keys() & {"failure", "progress"}:
        row[name] = json.dumps(asdict(row[name])) if row[name] else None
    if "phase" in row:
        row["phase"] = str(row["phase"])
    return row


def now() -> float:
    """Give the time in seconds since 1970, to the millisecond, as times are written."""
    return round(time.time(), 3)


def iso(instant: float) -> str:
    """Write a time as DALI 1.1 §3.3.3 and UWS 1.1 want it, in UTC with a trailing Z.

    Parameters
    ----------
    instant
        Seconds since 1970.
    """
    seconds, thousandths = divmod(round(instant * 1000), 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{thousandths:03d}Z"


def instant(text: str) -> float:
    """Read a time: ISO 8601, UTC where no zone is written.

    Raises
    ------
    ValueError
        It is not a time.
    """
    moment = datetime.fromisoformat(text.strip())
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), 3)
