"""Folders that live as long as a request: what a client sent, on its way to a query."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
import weakref
from pathlib import Path

from cerro_services.pids import lives

_OLD = 86_400.0
"""Seconds after which a folder is nobody's: no request takes a day."""


class Scratch:
    """A new folder, removed when it is no longer used.

    Parameters
    ----------
    parent
        Folder to make it in; made if it is not there, readable by nobody else.
    """

    def __init__(self, parent: Path) -> None:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(prefix=_prefix(os.getpid()), dir=parent))
        self._end = weakref.finalize(self, shutil.rmtree, self.path, True)

    def remove(self) -> None:
        """Remove the folder and all in it, now."""
        self._end()


def sweep(parent: Path) -> int:
    """Remove the folders that killed processes left.

    Parameters
    ----------
    parent
        Folder that `Scratch` made folders in.

    Returns
    -------
    int
        Number of folders removed.
    """
    removed = 0
    for path in parent.glob("*") if parent.is_dir() else ():
        if _is_left(path):
            shutil.rmtree(path, ignore_errors=True)
            removed += 1
    return removed


def _prefix(pid: int) -> str:
    return f"{socket.gethostname()}.{pid}."


def _is_left(path: Path) -> bool:
    host, _, rest = path.name.rpartition(".")[0].rpartition(".")
    try:
        if time.time() - path.stat().st_mtime > _OLD:
            return True
    except OSError:
        return False
    return host == socket.gethostname() and rest.isdigit() and not lives(int(rest))
