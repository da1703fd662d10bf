"""Where the processes of the services keep their counts, so that one can tell all of them.

prometheus_client decides when it is imported; so this module imports nothing that counts.
"""

from __future__ import annotations

import os
from pathlib import Path

from cerro_services.pids import lives

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder, in the environment, to this process and those that it starts."""


def prepare(folder: Path) -> None:
    """Let all processes that this one starts, and others of the platform, count together.

    Must run before anything that counts is imported.

    Parameters
    ----------
    folder
        Where they keep their counts. Those of processes that are gone are removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdigit() and not lives(int(pid)):
            path.unlink(missing_ok=True)
    os.environ[FOLDER] = str(folder)
