"""A worker's processes, seen from the worker: given jobs, watched, stopped, replaced."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

from cerro_services.config import Settings
from cerro_services.uws.child import Done, Failed, Order, Ready, Stop, serve
from cerro_services.uws.model import Progress

log = logging.getLogger(__name__)

LOOK = 0.25
"""How often it is looked whether a job should stop [s]."""
_GRACE = 1.0
"""Seconds for which a job may take its time to stop; then its process is killed."""
_START = 120.0
_SLACK = 1 << 30
"""Bytes that a process may hold beyond the engine's memory before it is replaced."""


class ChildDiedError(Exception):
    """The process ended while it ran a job."""


class StoppedError(Exception):
    """The job was stopped, as it should no longer run or its time was over.

    Parameters
    ----------
    late
        Whether its time was over.
    """

    def __init__(self, *, late: bool) -> None:
        super().__init__()
        self.late = late


def starter(kinds: str) -> ForkServerContext:
    """Give what starts processes: copies of one that has loaded everything and done nothing yet.

    Parameters
    ----------
    kinds
        The module that has all kinds of jobs.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cerro_services.uws.child", kinds])
    return context


class Child:
    """One process that runs jobs.

    Parameters
    ----------
    start
        Starts processes.
    settings
        What the process is told.
    kinds
        The module that has all kinds of jobs.
    number
        Which of the worker's processes it is.
    """

    def __init__(
        self, start: ForkServerContext, settings: Settings, kinds: str, number: int
    ) -> None:
        spill = settings.spill
        if spill is not None:
            # Two databases must not write the same files.
            spill = spill / f"worker-{os.getpid()}-{number}"
        self._settings = settings.model_copy(update={"memory": settings.job_memory, "spill": spill})
        self._start, self._kinds, self._number = start, kinds, number
        # A thread that sees its process die must not start another while the worker ends.
        self._changing = threading.Lock()
        self._over = False
        self._launch()

    def _launch(self) -> None:
        ours, theirs = self._start.Pipe()
        level = logging.getLogger().getEffectiveLevel()
        self._process = self._start.Process(
            target=serve,
            args=(theirs, self._settings, self._kinds, level),
            name=f"job-{self._number}",
            daemon=True,
        )
        self._process.start()
        theirs.close()
        self._connection = ours
        self._ready = False

    @property
    def pid(self) -> int | None:
        """Process id."""
        return self._process.pid

    def wait(self) -> None:
        """Wait until the process can run jobs.

        Raises
        ------
        ChildDiedError
            It ended, or takes too long.
        """
        if self._ready:
            return
        try:
            if not self._connection.poll(_START) or self._connection.recv() != Ready():
                raise ChildDiedError
        except (EOFError, OSError):
            raise ChildDiedError from None
        self._ready = True

    def run(
        self, order: Order, wanted: Callable[[Progress | None], bool], seconds: float
    ) -> Done | Failed:
        """Run a job.

        Parameters
        ----------
        order
            The job.
        wanted
            Whether the job should still run; is given how far it is.
        seconds
            How long it may run.

        Raises
        ------
        StoppedError
            It should no longer run, or not so long.
        ChildDiedError
            The process ended. It has been replaced.
        """
        try:
            return self._run(order, wanted, seconds)
        except ChildDiedError:
            self.replace()
            raise

    def _run(
        self, order: Order, wanted: Callable[[Progress | None], bool], seconds: float
    ) -> Done | Failed:
        self._give(order)
        started = looked = time.monotonic()
        progress: Progress | None = None
        while True:
            message = self._receive(LOOK)
            if isinstance(message, Done | Failed):
                return message
            if isinstance(message, Progress):
                progress = message
            now = time.monotonic()
            late = now - started > seconds
            if now - looked >= LOOK or late:
                looked = now
                if late or not wanted(progress):
                    self._stop()
                    raise StoppedError(late=late)
                progress = None

    def _give(self, order: Order) -> None:
        """Hand over a job; to another process if this one died while it had nothing to do."""
        for _ in range(2):
            try:
                self.wait()
                self._connection.send(order)
            except (OSError, ChildDiedError):
                self.replace()
            else:
                return
        raise ChildDiedError

    def _receive(self, seconds: float) -> object:
        try:
            return self._connection.recv() if self._connection.poll(seconds) else None
        except (EOFError, OSError):
            raise ChildDiedError from None

    def _stop(self) -> None:
        """Stop the job; kill the process if it does not heed."""
        end = time.monotonic() + _GRACE
        try:
            self._connection.send(Stop())
            while (left := end - time.monotonic()) > 0:
                if isinstance(self._receive(left), Done | Failed):
                    return
        except (OSError, ChildDiedError):
            pass
        log.warning("a job did not stop within %g s; its process is replaced", _GRACE)
        self.replace()

    def replace(self) -> None:
        """Kill the process and start another, unless the worker ends."""
        with self._changing:
            if not self._over:
                self._kill()
                self._launch()

    def end(self) -> None:
        """Kill the process; there will be no other."""
        with self._changing:
            if not self._over:
                self._over = True
                self._kill()

    def _kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()

    def slim(self, most: int) -> None:
        """Replace the process if it holds on to more memory than it may.

        Parameters
        ----------
        most
            Bytes of the engine.
        """
        if _resident(self._process.pid) > most + _SLACK:
            self.replace()


def _resident(pid: int | None) -> int:
    """Give the bytes of memory that a process holds; 0 where that cannot be known."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
