"""Fetches the discovery document, as its user sees it, to where the RSP's tools read it."""

from __future__ import annotations

import os
from pathlib import Path

from cerro_hub.lab.fetching import fetch
from cerro_hub.tries import tries

PAUSES = (0.5, 1, 2, 4, 8, 16, 30, 60)
"""How long to wait before each further try [s]: the services may be restarting."""


def fetch_discovery(runtime: Path) -> bool:
    """Write ``discovery/v1.json``; return whether it could be fetched.

    Parameters
    ----------
    runtime : Path
        NUBLADO_RUNTIME_MOUNTS_DIR.
    """
    url = f"{os.environ['REPERTOIRE_BASE_URL']}/discovery"
    return any(fetch(url, runtime / "discovery/v1.json") for _ in tries(PAUSES))
