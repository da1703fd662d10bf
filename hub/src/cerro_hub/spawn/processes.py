"""Finds and ends the processes of users' servers, kernels and terminals included."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

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
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(found, timeout=patience)
    # Kernels ignore SIGTERM, and whatever was started meanwhile is caught here too.
    for process in [*left, *lab_processes(platform, user)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=2)
    return len(found)


def signal_group(pid: int, sig: signal.Signals) -> None:
    """Send a signal to a server and what it started in its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, sig)
