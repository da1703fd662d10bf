"""A small disk, to be filled."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, size: int, *, needed: bool = False) -> Iterator[Path]:
    """Mount a small disk on a folder until the block ends, where that can be had.

    Where it cannot, the folder is there all the same; ``folder.is_mount()`` tells.

    Parameters
    ----------
    folder
        Where; made if it is not there.
    size
        Of the disk, in bytes.
    needed
        Whether the test is skipped where no disk can be mounted.
    """
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    if needed and not mounted:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield folder
    finally:
        if mounted:
            # Processes that end later may still have files on it.
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
