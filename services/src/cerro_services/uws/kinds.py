"""What a kind of job does, and what it is given to do it."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO

from starlette.requests import Request

from cerro_services.access import Caller
from cerro_services.context import Context
from cerro_services.errors import CerroError
from cerro_services.parameters import Parameters
from cerro_services.quotas import Quota
from cerro_services.uws.model import Job, Pairs, Progress, Result


class ResultTooLargeError(CerroError, code="quota_exceeded", status=400):
    """A caller would keep more results than they may."""


class Task:
    """One job, for whoever does its work in a worker's process.

    Parameters
    ----------
    job
        The job.
    folder
        Its folder: what came with the request lies in it, results go there.
    quota
        What its owner may use.
    room
        Bytes that its results may have.
    """

    def __init__(self, job: Job, folder: Path, quota: Quota, room: int) -> None:
        self.job = job
        self.folder = folder
        self.quota = quota
        self.room = room
        self.results: list[Result] = []
        self.progress: Callable[[], Progress] = Progress
        """Tells how far the work is; called from another thread."""
        self._stop: Callable[[], None] | None = None
        self._stopped = False
        self._lock = threading.Lock()

    @property
    def caller(self) -> Caller:
        """Who the job runs for."""
        return self.job.caller

    @property
    def parameters(self) -> Parameters:
        """What was asked."""
        values: dict[str, list[str]] = {}
        for name, value in self.job.parameters:
            values.setdefault(name, []).append(value)
        return Parameters(values)

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Say how the work is stopped; called from another thread, at once if it is too late."""
        with self._lock:
            self._stop = stop
            late = self._stopped
        if late:
            stop()

    def stop(self) -> None:
        """Stop the work."""
        with self._lock:
            self._stopped = True
            stop = self._stop
        if stop is not None:
            stop()

    def write(self, name: str, mime: str, saved_as: str = "") -> ResultFile:
        """Begin a result.

        Parameters
        ----------
        name
            Its name in the job.
        mime
            Content-Type.
        saved_as
            Name that a browser saves it under.
        """
        return ResultFile(self, name, mime, saved_as)


class ResultFile:
    """A result while it is written: it appears whole or not at all.

    Parameters
    ----------
    task
        The job.
    name, mime, saved_as
        Of the result.
    """

    def __init__(self, task: Task, name: str, mime: str, saved_as: str) -> None:
        self._task = task
        self._name, self._mime = name, mime
        self.headers: dict[str, str] = {}
        """Further headers of the response that gives it."""
        if saved_as:
            self.headers["Content-Disposition"] = f'inline; filename="{saved_as}"'
        self._part = task.folder / f"{name}.part"
        self._file: IO[bytes] | None = None
        self.size = 0

    def __enter__(self) -> ResultFile:
        self._file = self._part.open("wb", buffering=0)
        return self

    def write(self, piece: bytes) -> None:
        """Write a piece.

        Raises
        ------
        ResultTooLargeError
            The caller would keep more than they may.
        """
        assert self._file is not None
        self.size += len(piece)
        if self.size > self._task.room:
            raise ResultTooLargeError(
                f"Your results may have {self._task.quota.result_bytes:,} bytes in all, and with "
                "this one they would have more. Delete jobs that you no longer need, or ask for "
                "fewer rows or columns."
            )
        view = memoryview(piece)
        while view:
            view = view[self._file.write(view) :]

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        assert self._file is not None
        self._file.close()
        if kind is not None:
            self._part.unlink(missing_ok=True)
            return
        self._part.rename(self._part.with_suffix(""))
        self._task.results.append(
            Result(self._name, self._mime, self.size, self._name, self.headers)
        )


@dataclass(frozen=True)
class Estimate:
    """What a job will cost.

    Parameters
    ----------
    rows
        Rows that are read.
    bytes
        Bytes that are read.
    seconds
        Seconds that it runs.
    """

    rows: int
    bytes: int
    seconds: float


Receive = Callable[[Request, Path, Caller], Awaitable[Pairs]]


@dataclass(frozen=True)
class Kind:
    """A kind of job.

    Parameters
    ----------
    name
        Its name in the database.
    prefix
        Address of its list of jobs, without the host.
    scope
        Scope that a token needs.
    run
        Does the work in a worker's process.
    failure
        Writes the document of an error, and says of what type it is.
    receive
        Reads the parameters of a request and puts what came with them into the job's folder.
    estimate
        Says what a job will cost; None if it cannot be known.
    check
        Refuses parameters with which no job is made.
    warm
        Loads what the first job of a process would otherwise wait for.
    """

    name: str
    prefix: str
    scope: str
    run: Callable[[Task], None]
    failure: Callable[[str], tuple[bytes, str]]
    receive: Receive
    estimate: Callable[[Pairs, Caller], Estimate] | None = None
    check: Callable[[Pairs, Caller], None] = field(default=lambda _pairs, _caller: None)
    warm: Callable[[], None] = field(default=lambda: None)


def kinds_of(module: str, context: Context) -> Mapping[str, Kind]:
    """Make all kinds of jobs.

    Parameters
    ----------
    module
        A module with the function ``kinds``; by its name, so that the worker itself, which runs
        none, need not load what they need.
    context
        What the process shares.
    """
    found: Mapping[str, Kind] = import_module(module).kinds(context)
    return found
