"""Folders of jobs: what came with them, and what they gave."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path


class Files:
    """Where the files of jobs lie.

    Parameters
    ----------
    root
        The folder of all.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, identity: str) -> Path:
        """Give the folder of a job; it may not be there.

        Parameters
        ----------
        identity
            Of the job, made by us.
        """
        return self.root / identity[:2] / identity

    def remove(self, identity: str) -> None:
        """Remove the folder of a job with all in it."""
        shutil.rmtree(self.folder(identity), ignore_errors=True)

    def all(self) -> Iterator[Path]:
        """Give the folders of all jobs."""
        yield from self.root.glob("*/*")
