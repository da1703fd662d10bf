"""Secrets of one platform: made once, in `$CERRO_HOME/hub/secrets`, for its owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

NAMES = ("cookie_secret", "proxy_token", "supervisor_token", "culler_token")


def read_or_make(folder: Path) -> dict[str, str]:
    """Return the platform's secrets, making those that do not exist yet.

    Parameters
    ----------
    folder : Path
        The hub's own folder.

    Returns
    -------
    dict
        Name to 64 hexadecimal digits.
    """
    store = folder / "secrets"
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    values = {}
    for name in NAMES:
        path = store / name
        text = path.read_text().strip() if path.exists() else ""
        if not text:
            text = secrets.token_hex(32)
            write_private(path, text + "\n")
        values[name] = text
    return values


def write_private(path: Path, text: str, *, uid: int = -1, gid: int = -1) -> None:
    """Write a file that only its owner can read, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    text : str
        What it shall hold.
    uid, gid : int
        Its owner; -1 keeps the caller.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            if uid != -1:
                os.fchown(file.fileno(), uid, gid)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
