"""Files that are whole or not there: fsync, atomic replacement, checksums, locks, a full disk."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cerro_services.release.errors import DiskFullError, ReleaseBusyError

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


def sync(path: Path) -> None:
    """Make a file's content, or a folder's entries, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(root: Path) -> None:
    """Make all folders below and including `root` survive a power cut."""
    for folder, _, _ in os.walk(root):
        sync(Path(folder))


def write_text(path: Path, text: str) -> None:
    """Write a file that is seen whole or not at all, even after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
    sync(path.parent)


def sha256(path: Path) -> str:
    """Give the checksum of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def human_size(size: float) -> str:
    """Give a number of bytes for people, such as ``1.2 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[None]:
    """Hold a release alone, against a second writer.

    Parameters
    ----------
    folder
        The release's folder.
    doing
        What this process does, for whoever finds the lock.

    Raises
    ------
    ReleaseBusyError
        Another process holds the release.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            stream.seek(0)
            holder = stream.read().strip() or "another process"
            raise ReleaseBusyError(
                f"Release {folder.name!r} is being written by {holder}. "
                "Wait until that is done, or stop it, and run the command again."
            ) from error
        # The kernel drops the lock when the holder ends, however it ends; the text is only a note.
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()} ({doing})")
        stream.flush()
        yield


def is_disk_full(error: BaseException) -> bool:
    """Tell whether an error means that no space is left."""
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return True
    # Arrow and DuckDB wrap the system's error and may keep only its text.
    text = str(error)
    return "No space left on device" in text or "Disk quota exceeded" in text


@contextmanager
def telling_of_full_disk(folder: Path) -> Iterator[None]:
    """Turn the system's "no space left" into what a person can act on.

    Parameters
    ----------
    folder
        Where is being written.

    Raises
    ------
    DiskFullError
        The disk is full.
    """
    try:
        yield
    except Exception as error:
        if not is_disk_full(error):
            raise
        place = next(p for p in (folder, *folder.parents) if p.exists())
        usage = shutil.disk_usage(place)
        raise DiskFullError(
            f"The disk that holds {place} is full "
            f"({human_size(usage.free)} of {human_size(usage.total)} left). Free some space there, "
            "or put temporary files elsewhere with --scratch, and run the command again: tables "
            "that are complete are kept, and what is published is as it was."
        ) from error
