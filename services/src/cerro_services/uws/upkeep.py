"""What a worker does beside running jobs: says that it lives, finds lost jobs, deletes old."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable

import sqlalchemy as sa

from cerro_services.uws.files import Files
from cerro_services.uws.model import Phase, now
from cerro_services.uws.store import JobStore, StoreUnavailableError
from cerro_services.uws.tables import JOBS
from cerro_services.uws.workers import HEARTBEAT, Workers

log = logging.getLogger(__name__)

_RECOVER, _EXPIRE, _SWEEP = 15.0, 30.0, 3600.0
_BATCH = 500


class Upkeep:
    """Keeps house, in a thread of its own as all others may run jobs for hours.

    Parameters
    ----------
    store, workers, files
        Where jobs are remembered and their files lie.
    send
        Says that one more job may run.
    worker
        Who keeps house.
    processes
        Jobs that it runs at once.
    """

    def __init__(
        self,
        store: JobStore,
        workers: Workers,
        files: Files,
        send: Callable[[], None],
        worker: str,
        processes: int,
    ) -> None:
        self._store, self._workers, self._files = store, workers, files
        self._send, self._worker, self._processes = send, worker, processes
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        # What may fail for want of the queue stands behind what needs none.
        due = dict.fromkeys((self._expire, self._recover, self._sweep), 0.0)
        every = {self._recover: _RECOVER, self._expire: _EXPIRE, self._sweep: _SWEEP}
        while True:
            try:
                self._workers.seen(self._worker, self._processes)
                for duty, when in due.items():
                    if when <= time.monotonic():
                        duty()
                        due[duty] = time.monotonic() + every[duty]
            except StoreUnavailableError as error:
                log.warning("the database does not answer: %s", error.__cause__)
            except Exception:
                log.exception("upkeep failed")
            if self._stopping.wait(HEARTBEAT):
                return

    def _recover(self) -> None:
        """Find the jobs of dead workers, and those whose message was lost."""
        found = self._workers.recover()
        if found.again or found.lost:
            log.warning(
                "of dead workers' jobs %d are started again and %d given up",
                found.again,
                found.lost,
            )
        query = sa.select(sa.func.count()).where(JOBS.c.phase == Phase.QUEUED)
        with self._store.transaction() as connection:
            waiting = int(connection.execute(query).scalar_one())
        for _ in range(min(waiting, self._processes)):
            self._send()

    def _expire(self) -> None:
        """Delete the jobs whose time has come."""
        old = JOBS.c.destruction <= now()
        while True:
            with self._store.transaction() as connection:
                found = connection.execute(sa.select(JOBS.c.id).where(old).limit(_BATCH)).scalars()
                gone = list(found)
            if not gone:
                return
            for identity in gone:
                self._files.remove(identity)
            with self._store.transaction() as connection:
                connection.execute(JOBS.delete().where(JOBS.c.id.in_(gone), old))
            log.info("%d jobs were deleted as their time had come", len(gone))

    def _sweep(self) -> None:
        """Remove folders that belong to no job."""
        for folder in self._files.all():
            try:
                young = time.time() - folder.stat().st_mtime < _SWEEP
            except OSError:
                continue
            if not young and not self._store.phases([folder.name]):
                shutil.rmtree(folder, ignore_errors=True)
