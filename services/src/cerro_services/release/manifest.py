"""``manifest.json``: which files a table or a version is made of, with their checksums."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cerro_services.release.arrowtypes import arrow_schema
from cerro_services.release.errors import DamagedError
from cerro_services.release.files import sha256, write_text
from cerro_services.release.hats import MANIFEST
from cerro_services.release.model import TableModel
from cerro_services.release.readers import TableSource

FORMAT = 2
"""Of the layout that is written; see `TableManifest`."""


@dataclass(frozen=True)
class StoredFile:
    """One file of a table.

    Parameters
    ----------
    path
        Place in the table's folder.
    kind
        ``data``, ``index`` or ``meta`` (what HATS readers need besides).
    bytes, sha256
        Size and checksum.
    rows
        Number of rows, of a data or index file.
    norder, npix
        HEALPix cell of a data file; None without positions.
    column
        Column of an index.
    """

    path: str
    kind: str
    bytes: int
    sha256: str
    rows: int = 0
    norder: int | None = None
    npix: int | None = None
    column: str | None = None

    @classmethod
    def of(cls, root: Path, path: str, kind: str, **more: Any) -> StoredFile:
        """Describe a file that has been written."""
        file = root / path
        return cls(path, kind, file.stat().st_size, sha256(file), **more)


@dataclass(frozen=True)
class TableManifest:
    """What one stored table is made of.

    Parameters
    ----------
    table, rows
        Name and number of rows.
    fingerprint
        The part of the data model that the files depend on; a table whose model has another one
        now must be ingested again.
    inputs
        What was ingested, to see whether it has changed.
    files
        The files.
    created
        When it was written (ISO 8601, UTC).
    sorted_by
        The column that rows are sorted by; None of tables without order, and of those without
        positions that were written before this was noted.
    format
        Of the layout: 1 has several pages in a row group and compresses everything; 2 has one page
        a column and leaves numbers as they are where they compress badly. Both are read.
    """

    table: str
    rows: int
    fingerprint: dict[str, Any]
    inputs: list[dict[str, Any]]
    files: list[StoredFile]
    created: str
    sorted_by: str | None = None
    format: int = 1

    def write(self, folder: Path) -> None:
        """Write the manifest into the table's folder."""
        write_text(folder / MANIFEST, json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, folder: Path) -> TableManifest | None:
        """Read the manifest of a table's folder; None if there is none.

        Raises
        ------
        DamagedError
            It cannot be read.
        """
        path = folder / MANIFEST
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            files = [StoredFile(**f) for f in document.pop("files")]
            return cls(files=files, **document)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedError(
                f"{path} cannot be read ({error}). Ingest the table again."
            ) from error


def now() -> str:
    """Give the time, UTC, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def fingerprint(table: TableModel) -> dict[str, Any]:
    """Give what a stored table depends on: its columns' types, its key, position and indexes."""
    lengths = {c.name: c.length for c in table.columns if c.length is not None}
    return {
        "columns": {f.name: [str(f.type), f.nullable] for f in arrow_schema(table)},
        "lengths": lengths,
        "key": list(table.key),
        "position": [table.ra, table.dec],
        "indexes": list(table.indexes),
    }


def describe_inputs(sources: Iterable[TableSource]) -> list[dict[str, Any]]:
    """Describe input files, to see later whether one has changed."""
    found = []
    for source in sources:
        stat = source.path.stat()
        found.append(
            {
                "path": str(source.path.resolve()),
                "bytes": stat.st_size,
                "modified": stat.st_mtime_ns,
            }
        )
    return found
