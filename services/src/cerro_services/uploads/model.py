"""Uploads as they lie in a folder, and how large they may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = "TAP_UPLOAD"
"""The schema of uploads in a query (TAP 1.1 §2.7.6)."""

Check = Callable[[], None]
"""Raises if nobody waits for the work any more."""


@dataclass(frozen=True)
class Upload:
    """One upload of a request.

    Parameters
    ----------
    name
        Name of the table in TAP_UPLOAD.
    path
        The file as it came.
    mime
        Its media type as the sender says, without parameters; empty if they do not.
    filename
        Its name as the sender says, for its ending alone; never a path.
    """

    name: str
    path: Path
    mime: str = ""
    filename: str = ""

    def as_document(self) -> dict[str, Any]:
        """Give what JSON can hold, for a job to remember."""
        return {
            "name": self.name,
            "path": str(self.path),
            "mime": self.mime,
            "filename": self.filename,
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Upload:
        """Read what `as_document` gave."""
        return cls(document["name"], Path(document["path"]), document["mime"], document["filename"])


@dataclass(frozen=True)
class UploadLimits:
    """How large uploads may be.

    Parameters
    ----------
    total
        Bytes of all uploads of a request as they are sent, and four times that unpacked.
    rows
        Rows of one.
    columns
        Columns of one.
    tables
        Uploads of one request.
    hosts
        Hosts from which uploads are fetched by URL: names with or without port, ``*.domain``, or
        ``*`` for every host with a public address.
    seconds
        Seconds in which an upload must have been fetched.
    held
        Rows up to which a table is held in memory; what is longer lies on disk.
    held_bytes
        Bytes up to which it is.
    owner
        Whose they are; empty for those without a token.
    """

    total: int = 10**9
    rows: int = 10_000_000
    columns: int = 4_000
    tables: int = 16
    hosts: tuple[str, ...] = ("*",)
    seconds: float = 120.0
    held: int = 100_000
    held_bytes: int = 64 << 20
    owner: str = ""
