"""``cerro work``: runs jobs in processes of its own, as messages of the queue say."""

from __future__ import annotations

import logging
import queue
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ByteSize, TypeAdapter

from cerro_services.config import Settings
from cerro_services.context import quotas_of
from cerro_services.database import connect
from cerro_services.errors import CerroError
from cerro_services.uws.child import Done, Order
from cerro_services.uws.children import Child, ChildDiedError, StoppedError, starter
from cerro_services.uws.files import Files
from cerro_services.uws.model import Failure, Job, Phase, Progress
from cerro_services.uws.queue import Queue
from cerro_services.uws.store import JobStore, StoreUnavailableError
from cerro_services.uws.upkeep import Upkeep
from cerro_services.uws.workers import Workers, this_worker

log = logging.getLogger(__name__)

_NOTE = 1.0
"""How often it is noted how far a job is [s]."""
_RETRY = 1.0
_CANNOT = Failure(
    "The job could not be run, as its folder or a process for it is missing. The operator finds "
    "the reason in the log of the worker; run the job again later.",
    transient=True,
)


class Worker:
    """Runs jobs, so many at once.

    Parameters
    ----------
    settings
        What the process was told.
    kinds
        The module that has all kinds of jobs, in a function of the same name.
    """

    def __init__(self, settings: Settings, kinds: str) -> None:
        self._settings = settings
        self._identity = this_worker()
        self._store = JobStore(connect(settings.database))
        self._workers = Workers(self._store)
        self._files = Files(settings.job_files)
        self._quotas = quotas_of(settings)
        self._queue = Queue(settings, self._drain)
        self._stopping = threading.Event()
        self._running: dict[str, Job] = {}
        self._memory = TypeAdapter(ByteSize).validate_python(settings.job_memory)
        start = starter(kinds)
        self._children = [
            Child(start, settings, kinds, number) for number in range(settings.job_processes)
        ]
        self._idle: queue.SimpleQueue[Child] = queue.SimpleQueue()

    def run(self) -> None:
        """Run jobs until the process is told to stop (SIGTERM or SIGINT)."""
        upkeep = Upkeep(
            self._store,
            self._workers,
            self._files,
            self._queue.send,
            self._identity,
            self._settings.job_processes,
        )
        try:
            self._ready()
            # Known before it claims: others would take its jobs for those of a dead worker.
            self._persist(lambda: self._workers.seen(self._identity, self._settings.job_processes))
            upkeep.start()
            log.info("%s runs %d jobs at once", self._identity, self._settings.job_processes)
            consumer = self._queue.huey.create_consumer(
                workers=self._settings.job_processes,
                periodic=False,
                scheduler_interval=60,
                max_delay=2.0,
                # Jobs are given back, so the worker need not wait for them.
                shutdown_timeout=0,
            )
            # On SIGHUP huey would start anew under the same number, and its jobs seem to run on.
            consumer._signal_actions[signal.SIGHUP] = (False, False)
            consumer.run()
        finally:
            self._stopping.set()
            upkeep.stop()
            self._give_back()
            for child in self._children:
                child.end()
            if self._settings.spill is not None:
                for left in self._settings.spill.glob(f"worker-{_pid(self._identity)}-*"):
                    shutil.rmtree(left, ignore_errors=True)

    def _ready(self) -> None:
        """Wait until all processes can run jobs."""
        for child in self._children:
            try:
                child.wait()
            except ChildDiedError:
                raise CerroError(
                    "A process for jobs ended before it was ready; what it says stands above."
                ) from None
            self._idle.put(child)

    def _give_back(self) -> None:
        """Let what runs wait for the next worker."""
        try:
            for job in list(self._running.values()):
                self._store.give_back(job)
            self._workers.gone(self._identity)
        except StoreUnavailableError as error:
            log.warning("jobs cannot be given back now: %s", error)

    def _drain(self) -> None:
        """Run jobs as long as there are any that may run now."""
        while not self._stopping.is_set():
            job = self._store.claim(self._identity)
            if job is None:
                return
            child = self._idle.get()
            self._running[job.id] = job
            try:
                self._run(child, job)
            finally:
                self._running.pop(job.id, None)
                self._idle.put(child)

    def _run(self, child: Child, job: Job) -> None:
        started = time.monotonic()
        folder = self._files.folder(job.id)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept = self._persist(lambda: self._store.kept(job.share))
            room = max(0, self._quotas.of(job.caller).result_bytes - kept)
            outcome = child.run(Order(job, folder, room), self._wanted(job), job.duration)
        except StoppedError as stopped:
            self._stopped(job, folder, late=stopped.late)
            how = "stopped"
        except ChildDiedError:
            if self._stopping.is_set():
                return
            log.warning("the process of job %s died", job.id)
            again = self._persist(lambda: self._workers.again_or_lost(job))
            how = "died"
            if again:
                self._queue.send()
        except Exception:
            # It must not seem to run for ever.
            log.exception("job %s cannot be run", job.id)
            self._persist(lambda: self._store.fail(job, _CANNOT))
            how = "failed"
        else:
            if isinstance(outcome, Done):
                done = outcome
                noted = self._persist(
                    lambda: self._store.complete(job, done.results, done.progress)
                )
                how = "completed"
            else:
                failure = outcome.failure
                noted = self._persist(lambda: self._store.fail(job, failure))
                how = "failed"
            if not noted:
                self._forget(job, folder)
            child.slim(self._memory)
        log.info(
            "job %s of %s: %s after %.3f s", job.id, job.owner or "public", how,
            time.monotonic() - started,
        )  # fmt: skip

    def _wanted(self, job: Job) -> Callable[[Progress | None], bool]:
        """Give a function that notes how far a job is, and tells whether it should still run."""
        noted = time.monotonic()
        latest: Progress | None = None

        def wanted(progress: Progress | None) -> bool:
            nonlocal noted, latest
            latest = progress or latest
            try:
                if latest is not None and time.monotonic() - noted >= _NOTE:
                    noted, known, latest = time.monotonic(), latest, None
                    quote = job.started + known.seconds if job.started and known.seconds else None
                    return self._store.advance(job, known, quote)
                return self._store.runs(job)
            except StoreUnavailableError:
                # Nobody can have said that it should stop.
                return True

        return wanted

    def _stopped(self, job: Job, folder: Path, *, late: bool) -> None:
        if late:
            failure = Failure(
                f"The job ran longer than the {job.duration:,} s it may. Limit the query to a part "
                "of the sky, select fewer rows, or give the job a longer executionduration."
            )
            self._persist(lambda: self._store.fail(job, failure, Phase.ABORTED))
        else:
            self._forget(job, folder)

    def _forget(self, job: Job, folder: Path) -> None:
        """Remove what a job wrote after it was deleted."""
        if not self._persist(lambda: self._store.phases([job.id])):
            shutil.rmtree(folder, ignore_errors=True)

    def _persist[T](self, change: Callable[[], T]) -> T:
        """Make a change in the database, however long it takes until it is there."""
        while True:
            try:
                return change()
            except StoreUnavailableError as error:
                if self._stopping.wait(_RETRY):
                    raise
                log.warning("the database does not answer: %s", error.__cause__)


def _pid(identity: str) -> str:
    return identity.rsplit(":", 2)[1]
