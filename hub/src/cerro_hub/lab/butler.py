"""Tells ``Butler("release")`` in a lab where the repositories are that its user may see.

The Butler reads the index of repositories without a token, so the server's address of it would
list public ones only. Here lies what the services tell this user, renewed while the lab runs.
"""

from __future__ import annotations

import os
import time
from itertools import chain, repeat
from pathlib import Path

from cerro_hub.lab.discovery import PAUSES
from cerro_hub.lab.fetching import fetch

EVERY = 60.0
"""Seconds until a release that is published is found."""


def index_of(runtime: Path) -> Path:
    """Give the file in which the index lies.

    Parameters
    ----------
    runtime : Path
        NUBLADO_RUNTIME_MOUNTS_DIR.
    """
    return runtime / "butler/repositories.yaml"


def butler_environment(runtime: Path, token: str) -> dict[str, str]:
    """Give the variables that the Butler reads.

    Parameters
    ----------
    runtime : Path
        NUBLADO_RUNTIME_MOUNTS_DIR.
    token : str
        The server's token.
    """
    index = index_of(runtime)
    return {
        "DAF_BUTLER_REPOSITORY_INDEX": str(index),
        # ACCESS_TOKEN it sends to Rubin's own hosts only.
        "BUTLER_RUBIN_ACCESS_TOKEN": token,
        # Storage classes that are not the Butler's own, in storageClasses.yaml.
        "DAF_BUTLER_CONFIG_PATH": str(index.parent),
    }


def keep_index(runtime: Path) -> None:
    """Fetch the index, again and again, as long as the process lives.

    Parameters
    ----------
    runtime : Path
        NUBLADO_RUNTIME_MOUNTS_DIR.
    """
    url = f"{os.environ['CERRO_URL']}api/butler/configs/repositories.yaml"
    pauses = chain(PAUSES, repeat(EVERY))
    while True:
        fetched = fetch(url, index_of(runtime))
        time.sleep(EVERY if fetched else next(pauses))
