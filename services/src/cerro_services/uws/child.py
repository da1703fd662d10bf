"""A worker's process: it runs one job at a time, and can be killed without harm to others."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import queue
import shutil
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from cerro_services import logs
from cerro_services.config import Settings
from cerro_services.context import Context
from cerro_services.errors import CerroError
from cerro_services.uws.kinds import Kind, ResultTooLargeError, Task, kinds_of
from cerro_services.uws.model import Failure, Job, Progress, Result

log = logging.getLogger(__name__)

TELL = 0.5
"""How often the child says how far it is [s]."""
_UNFORESEEN = Failure("Something failed that was not foreseen. The operator finds it in the log.")
_FULL = Failure(
    "The disk that keeps results is full, so the result could not be written. Tell the operator, "
    "and run the job again later.",
    transient=True,
)


@dataclass(frozen=True)
class Order:
    """What a child is told to run.

    Parameters
    ----------
    job
        The job.
    folder
        Its folder.
    room
        Bytes that its results may have.
    """

    job: Job
    folder: Path
    room: int


@dataclass(frozen=True)
class Stop:
    """What a child is told when its job should stop."""


@dataclass(frozen=True)
class Ready:
    """What a child says when it can run jobs."""


@dataclass(frozen=True)
class Done:
    """What a child says when its job is done.

    Parameters
    ----------
    results
        What it gave.
    progress
        How far it was.
    """

    results: tuple[Result, ...]
    progress: Progress


@dataclass(frozen=True)
class Failed:
    """What a child says when its job failed.

    Parameters
    ----------
    failure
        Why.
    """

    failure: Failure


def serve(connection: Connection, settings: Settings, kinds: str, log_level: int) -> None:
    """Run jobs until the worker closes the connection or dies.

    Parameters
    ----------
    connection
        To the worker.
    settings
        What this process is told.
    kinds
        The module that has all kinds of jobs.
    log_level
        What is logged.
    """
    # Ctrl-C reaches the whole terminal; only the worker decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        # When memory runs out, a job goes before the service and the hub.
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    logs.configure(log_level)
    if settings.spill is not None:
        shutil.rmtree(settings.spill, ignore_errors=True)
    context = Context.build(settings)
    known = kinds_of(kinds, context)
    context.engine.warm()
    for kind in known.values():
        try:
            kind.warm()
        except (CerroError, OSError) as error:
            log.warning("jobs of kind %s will start slowly: %s", kind.name, error)
    _Desk(connection, known, context).run()


class _Desk:
    """Takes orders, and listens for a stop while one is carried out."""

    def __init__(self, connection: Connection, kinds: Mapping[str, Kind], context: Context) -> None:
        self._connection = connection
        self._kinds = kinds
        self._context = context
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._task: Task | None = None
        self._sending = threading.Lock()

    def run(self) -> None:
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        self._send(Ready())
        while True:
            order = self._orders.get()
            quota = self._context.quotas.of(order.job.caller)
            self._task = task = Task(order.job, order.folder, quota, order.room)
            outcome = self._carry_out(task)
            self._task = None
            self._send(outcome)

    def _listen(self) -> None:
        while True:
            try:
                if not self._connection.poll(TELL):
                    self._tell()
                    continue
                message = self._connection.recv()
            except (EOFError, OSError):
                # The worker is gone; whoever starts it again starts the job again.
                os._exit(1)
            if isinstance(message, Stop):
                if self._task is not None:
                    self._task.stop()
            else:
                self._orders.put(message)

    def _tell(self) -> None:
        task = self._task
        if task is None:
            return
        try:
            progress = task.progress()
        except Exception:
            log.exception("the progress of job %s cannot be told", task.job.id)
            return
        self._send(progress)

    def _send(self, message: object) -> None:
        with self._sending, contextlib.suppress(BrokenPipeError):
            self._connection.send(message)

    def _carry_out(self, task: Task) -> Done | Failed:
        try:
            self._kinds[task.job.kind].run(task)
            return Done(tuple(task.results), task.progress())
        except ResultTooLargeError as error:
            return Failed(Failure(error.message))
        except CerroError as error:
            return Failed(Failure(error.message, transient=error.status >= 500))
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                log.warning("job %s: %s", task.job.id, error)
                return Failed(_FULL)
            log.exception("job %s failed", task.job.id)
            return Failed(_UNFORESEEN)
        except Exception:
            log.exception("job %s failed", task.job.id)
            return Failed(_UNFORESEEN)
