"""Fetches documents, as their user sees them, to where tools in the lab read them."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path


def fetch(url: str, target: Path) -> bool:
    """Write a document of the services to a file at once; return whether that could be done.

    Parameters
    ----------
    url : str
        Its address; it must be the platform's own, since it is sent the token.
    target : Path
        The file.
    """
    request = urllib.request.Request(  # noqa: S310 - the address is the platform's own
        url, headers={"Authorization": f"Bearer {os.environ['CERRO_TOKEN']}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            document = response.read()
        target.parent.mkdir(mode=0o700, exist_ok=True)
        new = target.with_name(f".{target.name}")
        new.write_bytes(document)
        new.replace(target)
    except (urllib.error.URLError, OSError):
        return False
    return True
