"""Folders for what does not fit into memory, one for each database.

DuckDB numbers its files from zero in whatever folder it is given: two databases, of one process or
several, that share a folder write over each other's rows.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
from pathlib import Path

from cerro_services.pids import lives

_NUMBERS = itertools.count()


def own_spill(parent: Path | None) -> Path | None:
    """Make a folder for one database, and remove those of processes that are gone.

    Parameters
    ----------
    parent
        Where; None if nothing may be written.

    Returns
    -------
    Path or None
        A folder that no other database uses.
    """
    if parent is None:
        return None
    ours = f"engine-{socket.gethostname()}."
    for left in parent.glob(f"{ours}*"):
        pid = left.name.removeprefix(ours).partition("-")[0]
        if pid.isdigit() and not lives(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    folder = parent / f"{ours}{os.getpid()}-{next(_NUMBERS)}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder
