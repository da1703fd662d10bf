"""Finds and ends the processes of users' servers, kernels and terminals included."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterator
from functools import partial

import psutil

MARK = "CERRO_LAB_OF"
"""Environment variable that every process of a user's server inherits: the platform's folder."""


def alive(pid: int, created: float) -> bool:
    """Return whether this very process runs (a pid alone may have gone to another one)."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created) < 0.5
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def created(pid: int) -> float:
    """Return when a process was created [s since 1970]; 0 if it is gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def ends_within(patience: float, pid: int, runs: Callable[[], bool]) -> bool:
    """Wait until a process has ended, whoever started it; return whether it has.

    psutil's own wait goes on for a process that has ended and whose parent has not yet asked how,
    and takes the exit code of a child away from whoever waits for that.

    Parameters
    ----------
    patience : float
        How long to wait [s].
    pid : int
        The process.
    runs : callable
        Tells whether the pid is still that of the process that is meant.
    """
    try:
        ending = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except (AttributeError, OSError):
        # A kernel without pidfds, or a container that forbids them: there is nothing to wait on.
        deadline = time.monotonic() + patience
        while runs() and time.monotonic() < deadline:
            time.sleep(0.05)
        return not runs()
    try:
        # Only now, for until it was opened the pid may have gone to another process.
        if not runs():
            return True
        poll = select.poll()
        poll.register(ending, select.POLLIN)
        return bool(poll.poll(max(patience, 0.0) * 1000))
    finally:
        os.close(ending)


def lab_processes(platform: str, user: str | None = None) -> Iterator[psutil.Process]:
    """Find the processes of users' servers.

    Parameters
    ----------
    platform : str
        The platform's folder.
    user : str, optional
        Only this user's.
    """
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        if environment.get(MARK) == platform and user in {None, environment.get("JUPYTERHUB_USER")}:
            yield process


def end_labs(platform: str, user: str | None = None, patience: float = 6.0) -> int:
    """End the processes of users' servers: ask first, then insist.

    Parameters
    ----------
    platform, user
        As in `lab_processes`.
    patience : float
        How long they may take to save their work [s].

    Returns
    -------
    int
        How many there were.
    """
    found = list(lab_processes(platform, user))
    end(found, patience)
    # What was started in the meantime.
    end(list(lab_processes(platform, user)), 0.0)
    return len(found)


def end(processes: list[psutil.Process], patience: float) -> None:
    """End processes: ask first, then insist.

    Parameters
    ----------
    processes : list of psutil.Process
        The processes.
    patience : float
        How long they may take before they are killed [s].
    """
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    left = _wait(processes, patience)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _wait(left, 5.0)


def _wait(processes: list[psutil.Process], patience: float) -> list[psutil.Process]:
    """Wait until the processes have ended; return those that have not."""
    deadline = time.monotonic() + patience
    return [
        process
        for process in processes
        if not ends_within(deadline - time.monotonic(), process.pid, partial(_runs, process))
    ]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
