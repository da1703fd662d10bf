"""Where this platform keeps its releases, accounts and logs: ``CERRO_HOME``.

Every process of the platform reads the folder from the environment, so that the
``cerro`` command decides it once and all that it starts agree.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "CERRO_HOME"
"""Name of the environment variable that holds the folder."""

FOLDER = ".cerro"
"""Name of the folder looked for beside the user and above."""


def resolve(start: Path | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """Find the platform's folder; it need not exist yet.

    Parameters
    ----------
    start
        Folder to look from; the current folder if not given.
    environ
        Environment to read; the process's own if not given.

    Returns
    -------
    pathlib.Path
        The folder that ``CERRO_HOME`` names, else the nearest ``.cerro`` in ``start``
        or above it, else the user's data folder of the operating system. Absolute.
    """
    env = os.environ if environ is None else environ
    named = env.get(VARIABLE, "").strip()
    if named:
        return Path(named).expanduser().absolute()
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / FOLDER).is_dir():
            return folder / FOLDER
    import platformdirs

    return Path(platformdirs.user_data_dir("cerro", appauthor=False)).absolute()


def export() -> Path:
    """Resolve the platform's folder and set ``CERRO_HOME`` for this process and its children.

    Returns
    -------
    pathlib.Path
        The folder, absolute.
    """
    home = resolve()
    os.environ[VARIABLE] = str(home)
    return home
