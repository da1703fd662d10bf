"""Adopts users' servers whose hub has died, so that none stays behind as a zombie."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

import psutil

PR_SET_CHILD_SUBREAPER = 36


class OrphanReaper:
    """Makes this process the parent of its descendants' orphans (Linux) and buries those that end.

    A hub that is restarted finds its users' servers again, but is no longer their parent: where
    process 1 does not reap, as in many containers, a server that ended would seem to run for ever.
    """

    def __init__(self) -> None:
        self._seen: set[int] = set()
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def reap(self) -> None:
        """Bury the children that were dead at the last call already.

        One that died just now may be somebody's who waits for its exit code.
        """
        dead = set()
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.status() == psutil.STATUS_ZOMBIE:
                    dead.add(child.pid)
        for pid in dead & self._seen:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        self._seen = dead
