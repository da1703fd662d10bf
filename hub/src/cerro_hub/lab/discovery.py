"""Fetches the discovery document, as its user sees it, to where the RSP's tools read it."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path

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
    request = urllib.request.Request(  # noqa: S310 - the address is the platform's own
        f"{os.environ['REPERTOIRE_BASE_URL']}/discovery",
        headers={"Authorization": f"Bearer {os.environ['CERRO_TOKEN']}"},
    )
    for _ in tries(PAUSES):
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                document = response.read()
            folder = runtime / "discovery"
            folder.mkdir(mode=0o700, exist_ok=True)
            new = folder / ".v1.json"
            new.write_bytes(document)
            new.replace(folder / "v1.json")
        except (urllib.error.URLError, OSError):
            continue
        return True
    return False
