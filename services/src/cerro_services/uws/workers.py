"""Which workers there are, and what becomes of the jobs of one that died."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from cerro_services.pids import lives
from cerro_services.uws.model import Failure, Job, Phase, encoded, now
from cerro_services.uws.store import JobStore
from cerro_services.uws.tables import JOBS, WORKERS

HEARTBEAT = 5.0
"""How often a worker says that it lives [s]."""
_DEAD = 30.0
"""A worker of another machine that has said nothing for so long is dead [s]."""
ATTEMPTS = 2
"""A job whose worker dies is started again so often, the first time included."""
_LOST = Failure(
    f"The process that ran the job ended {ATTEMPTS} times before the job was done: it may need "
    "more memory than there is. Limit the query to a part of the sky, or tell the operator.",
    transient=True,
)


def this_worker() -> str:
    """Give the identity of this process, which no later process with the same number has."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


@dataclass(frozen=True)
class Recovered:
    """What became of the jobs of dead workers.

    Parameters
    ----------
    again
        Number of jobs that wait to be started again.
    lost
        Number of jobs that were given up.
    """

    again: int = 0
    lost: int = 0


class Workers:
    """Remembers which workers there are.

    Parameters
    ----------
    store
        Where the jobs are.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def seen(self, worker: str, processes: int) -> None:
        """Note that a worker lives, and how many jobs it runs at once."""
        fields = {"seen": now(), "processes": processes}
        with self._store.transaction() as connection:
            update = WORKERS.update().where(WORKERS.c.id == worker).values(fields)
            if connection.execute(update).rowcount == 0:
                host = worker.split(":", maxsplit=1)[0]
                connection.execute(WORKERS.insert().values(id=worker, host=host, **fields))

    def gone(self, worker: str) -> None:
        """Note that a worker has ended."""
        with self._store.transaction() as connection:
            connection.execute(WORKERS.delete().where(WORKERS.c.id == worker))

    def processes(self) -> int:
        """Give how many jobs all workers that live run at once; 0 if there is none."""
        with self._store.transaction() as connection:
            found = connection.execute(sa.select(WORKERS)).all()
        return sum(row.processes for row in found if _lives(row.id, row.host, row.seen))

    def recover(self) -> Recovered:
        """Let the jobs of dead workers wait again, or give them up."""
        with self._store.transaction() as connection:
            found = connection.execute(sa.select(WORKERS)).all()
            living = [row.id for row in found if _lives(row.id, row.host, row.seen)]
            orphans = sa.and_(JOBS.c.phase == Phase.EXECUTING, JOBS.c.worker.not_in(living))
            lost = connection.execute(
                JOBS.update()
                .where(orphans, JOBS.c.attempts >= ATTEMPTS)
                .values(encoded({"phase": Phase.ERROR, "failure": _LOST}) | {"ended": now()})
            ).rowcount
            again = connection.execute(
                JOBS.update()
                .where(orphans)
                .values(phase=Phase.QUEUED, worker=None, started=None, progress=None)
            ).rowcount
            connection.execute(WORKERS.delete().where(WORKERS.c.id.not_in(living)))
        return Recovered(again, lost)

    def again_or_lost(self, job: Job) -> bool:
        """Let a job wait again whose process died, or give it up.

        Returns
        -------
        bool
            Whether it waits again.
        """
        if job.attempts >= ATTEMPTS:
            self._store.fail(job, _LOST)
            return False
        values = {"phase": str(Phase.QUEUED), "worker": None, "started": None, "progress": None}
        return self._store.change_mine(job, values)


def _lives(worker: str, host: str, seen: float) -> bool:
    if host != socket.gethostname():
        return now() - seen < _DEAD
    _, pid, started = worker.rsplit(":", 2)
    return _started(int(pid)) == started


def _started(pid: int) -> str:
    """Give when a process of this machine was started [ticks since boot]; "" if there is none."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        # Where there is no /proc, nothing is known but whether it is there.
        return "0" if lives(pid) and not Path("/proc/self").exists() else ""
    return status.rpartition(")")[2].split()[19]
