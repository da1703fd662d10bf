"""The rows of users' tables on disk: one folder a version, complete before anyone knows of it."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from cerro_services.release import Catalog, Column, DataError
from cerro_services.release import manifest as manifests
from cerro_services.release.arrowtypes import arrow_schema
from cerro_services.release.conform import Conformer, match
from cerro_services.release.files import sync, sync_tree, telling_of_full_disk
from cerro_services.release.layout import Layout
from cerro_services.release.manifest import StoredFile, TableManifest
from cerro_services.release.model import SPATIAL_INDEX, TableModel
from cerro_services.release.progress import Progress
from cerro_services.release.readers import TableSource
from cerro_services.release.writer import Writer
from cerro_services.scratch import Scratch
from cerro_services.usertables.rows import StoredSource

GRACE = 6 * 3600.0
"""Seconds for which the files of a dropped table stay: queries that began before may read them."""
_SMALL = 100_000
"""Rows up to which a table is one file: pruning a dozen tiny ones costs more than it saves."""
_OPTIONS = {"compression": "zstd", "compression_level": 1, "write_page_index": True}


@dataclass(frozen=True)
class Stored:
    """Rows that have been written.

    Parameters
    ----------
    version
        Their identifier.
    nrows, nbytes
        How much it is.
    """

    version: str
    nrows: int
    nbytes: int


class TableFiles:
    """Writes and removes versions.

    Parameters
    ----------
    root
        Folder of all users' tables.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._layout = Layout(memory=128 << 20)

    def folder(self, owner: str, version: str) -> Path:
        """Give the folder of a version."""
        return self.root / quote(owner, safe="") / version

    def write(self, owner: str, model: TableModel, sources: Sequence[TableSource]) -> Stored:
        """Write a new version of a table.

        Parameters
        ----------
        owner
            Whose it is.
        model
            Columns, key, indexes and position; positions and keys are checked.
        sources
            The rows.

        Returns
        -------
        Stored
            Synced to disk.

        Raises
        ------
        DataError
            A value does not fit the model.
        """
        version = secrets.token_hex(12)
        folder = self.folder(owner, version)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = Scratch(self.root / ".scratch")
        try:
            with telling_of_full_disk(self.root):
                files = self._files(folder, scratch.path / "work", model, sources)
                nrows = sum(file.rows for file in files if file.kind == "data")
                TableManifest(model.name, nrows, {}, [], files, manifests.now()).write(folder)
                sync_tree(folder)
                sync(folder.parent)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            scratch.remove()
        return Stored(version, nrows, sum(file.bytes for file in files))

    def catalog(self, owner: str, version: str) -> Catalog:
        """Give the files of a version."""
        return _catalog(self.folder(owner, version))

    def source(self, owner: str, version: str, model: TableModel) -> TableSource:
        """Give the rows of a version, to be written again."""
        return StoredSource(self.catalog(owner, version), model)

    def discard(self, owner: str, version: str) -> None:
        """Remove a version that nobody has come to know."""
        shutil.rmtree(self.folder(owner, version), ignore_errors=True)

    def retire(self, owner: str, version: str) -> None:
        """Let the files of a version go, once no query can be reading them."""
        folder = self.folder(owner, version)
        if folder.is_dir():
            os.utime(folder)

    def sweep(self, known: set[str], grace: float = GRACE) -> int:
        """Remove versions that no table has: dropped, replaced, or left by a killed process.

        Parameters
        ----------
        known
            Versions that tables have.
        grace
            Seconds for which others stay.

        Returns
        -------
        int
            Versions removed.
        """
        removed = 0
        for folder in self.root.glob("*/*"):
            if folder.parent.name == ".scratch" or folder.name in known or not folder.is_dir():
                continue
            if time.time() - folder.stat().st_mtime > grace:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    # ---- inside -------------------------------------------------------------------------------

    def _files(
        self, folder: Path, scratch: Path, model: TableModel, sources: Sequence[TableSource]
    ) -> list[StoredFile]:
        counts = [source.nrows for source in sources]
        few = None not in counts and sum(n or 0 for n in counts) <= _SMALL
        plain = not _is_flat(model) or (few and not model.key and not model.indexes)
        if plain:
            return [_one_file(folder, model, sources)]
        matched = [match(source, model) for source in sources]
        files = Writer(model, folder, scratch, self._layout, Progress()).write(matched)
        return list(files)


def _one_file(folder: Path, model: TableModel, sources: Sequence[TableSource]) -> StoredFile:
    """Write a small table, or one whose columns HATS cannot hold, as one file."""
    names = [column.name for column in model.columns]
    path = folder / "dataset" / "part-00000.parquet"
    path.parent.mkdir(mode=0o700, parents=True)
    nrows = 0
    writer: pq.ParquetWriter | None = None
    conformer = Conformer(model) if _is_flat(model) else None
    try:
        for source in sources:
            rows = (
                conformer.batches(match(source, model))
                if conformer is not None
                else source.batches(names)
            )
            for batch in rows:
                if conformer is not None and model.ra is not None:
                    batch = batch.sort_by(SPATIAL_INDEX)  # noqa: PLW2901
                if writer is None:
                    writer = pq.ParquetWriter(path, batch.schema, **_OPTIONS)
                elif not batch.schema.equals(writer.schema):
                    batch = _as(batch, writer.schema, source)  # noqa: PLW2901
                writer.write_batch(batch)
                nrows += batch.num_rows
        if writer is None:
            schema = _empty(model)
            writer = pq.ParquetWriter(path, schema)
            writer.write_table(schema.empty_table())
    finally:
        if writer is not None:
            writer.close()
    sync(path)
    return StoredFile.of(folder, "dataset/part-00000.parquet", "data", rows=nrows)


def _as(batch: pa.RecordBatch, schema: pa.Schema, source: TableSource) -> pa.RecordBatch:
    try:
        return batch.cast(schema)
    except pa.ArrowException as error:
        raise DataError(f"does not fit the table: {error}.", file=source.path) from error


def _empty(model: TableModel) -> pa.Schema:
    if _is_flat(model):
        return arrow_schema(model)
    from cerro_services.uploads.types import arrow_of

    return pa.schema([pa.field(column.name, arrow_of(column)) for column in model.columns])


def _is_flat(model: TableModel) -> bool:
    """Whether HATS holds every column: arrays have one dimension, and nobody named the index."""
    return all(
        column.name != SPATIAL_INDEX
        and (column.arraysize is None or _is_text(column) or _is_list(column))
        for column in model.columns
    )


def _is_list(column: Column) -> bool:
    return "x" not in (column.arraysize or "") and column.datatype != "boolean"


def _is_text(column: Column) -> bool:
    return column.datatype in {"char", "unicode", "timestamp", "binary"}


@lru_cache(1024)
def _catalog(folder: Path) -> Catalog:
    # A version never changes, so its manifest is read once.
    found = Catalog.read(folder)
    if found is None:
        raise DataError("has no rows on disk.", file=folder)
    return found
