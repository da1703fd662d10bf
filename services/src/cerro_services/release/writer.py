"""Files of rows become one stored table: HATS where rows have positions, else sorted Parquet.

One pass reads, checks and collects (`conform`, `runs`, `keys`); then the partitions are written, in
parallel; then the indexes. Memory is bounded by `Layout`, disk by about the size of the table.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from cerro_services.release import hatsmeta, keys
from cerro_services.release.conform import Conformer, Matched
from cerro_services.release.files import sync
from cerro_services.release.layout import Layout, marked, writer_options
from cerro_services.release.manifest import StoredFile
from cerro_services.release.model import SPATIAL_INDEX, TableModel
from cerro_services.release.partitions import Tile, divide
from cerro_services.release.progress import Progress
from cerro_services.release.runs import SortedRuns, coalesce


@dataclass(frozen=True)
class Writer:
    """Writes one table.

    Parameters
    ----------
    table
        Its data model.
    folder
        Where to write; must be new.
    scratch
        Where temporary files go.
    layout
        Sizes and memory.
    progress
        Where to say how far it is.
    """

    table: TableModel
    folder: Path
    scratch: Path
    layout: Layout
    progress: Progress

    def write(self, files: Sequence[Matched]) -> list[StoredFile]:
        """Read the files and write the table.

        Parameters
        ----------
        files
            What to read, in this order.

        Returns
        -------
        list of StoredFile
            What was written, synced to disk.

        Raises
        ------
        DataError
            A value does not fit the data model, or a key stands twice.
        """
        self.folder.mkdir(parents=True)
        self.scratch.mkdir(parents=True, exist_ok=True)
        if self.table.ra is not None:
            return self._write_spatial(files)
        return self._write_plain(files)

    @property
    def order(self) -> tuple[str, ...]:
        """The columns that rows are sorted by.

        Without a position, rows of one key lie together, or those of one object that a foreign key
        names, so that they can be looked up.
        """
        if self.table.ra is not None:
            return (SPATIAL_INDEX,)
        return self.table.key or self.table.indexes[:1]

    @property
    def looked_up(self) -> set[str]:
        """The columns whose single values are asked for."""
        positions = {self.table.ra, self.table.dec} - {None}
        return {*self.table.key, *self.table.indexes, *map(str, positions)}

    # ---- reading ------------------------------------------------------------------------------

    def _rows(self, files: Sequence[Matched], ordinals: keys.Ordinals) -> Iterator[pa.RecordBatch]:
        conformer = Conformer(self.table)
        sizes = [matched.source.nrows for matched in files]
        total = None if None in sizes else sum(n or 0 for n in sizes)
        for number, matched in enumerate(files, 1):
            ordinals.begin(matched.source.path)
            of = f" {number}/{len(files)}" if len(files) > 1 else ""
            for batch in coalesce(conformer.batches(matched)):
                yield batch
                self.progress.step(f"{self.table.name}: reading{of}", ordinals.total, total, "rows")

    # ---- with positions -----------------------------------------------------------------------

    def _write_spatial(self, files: Sequence[Matched]) -> list[StoredFile]:
        ordinals = keys.Ordinals()
        runs = SortedRuns(self.scratch, self.layout.memory)
        schema = Conformer(self.table).schema
        looked_up = [*self.table.key, *self.table.indexes]
        columns = keys.KeyColumns(looked_up, schema, self.scratch / "keys.parquet")
        for batch in self._rows(files, ordinals):
            runs.add(batch)
            numbers = ordinals.take(batch.num_rows)
            if looked_up:
                columns.add(batch, numbers)
        columns.close()
        runs.finish()
        # The key is checked before the partitions are written: a refusal should not take long.
        stored = self._write_indexes(columns, ordinals) if looked_up else []
        limit = self.layout.rows_per_file(runs.nrows, runs.nbytes)
        tiles = divide(runs.count, limit)
        if not tiles:
            tiles = [Tile(0, 0, 0)]
        data, footers = self._write_tiles(runs, tiles, schema)
        stored += data
        stored += hatsmeta.write(
            self.folder, self.table, schema, tiles, footers, nrows=runs.nrows, max_rows=limit
        )
        return stored

    def _write_tiles(
        self, runs: SortedRuns, tiles: Sequence[Tile], schema: pa.Schema
    ) -> tuple[list[StoredFile], list[pq.FileMetaData]]:
        results: dict[int, tuple[StoredFile, pq.FileMetaData]] = {}
        running: dict[Future[tuple[StoredFile, pq.FileMetaData]], int] = {}
        workers = min(4, os.cpu_count() or 1)

        def collect(*, until: int) -> None:
            while len(running) > until:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    results[running.pop(future)] = future.result()
                self.progress.step(
                    f"{self.table.name}: writing partitions", len(results), len(tiles)
                )

        with ThreadPoolExecutor(workers) as pool:
            try:
                for number, tile in enumerate(tiles):
                    # Bounded, so that a failure ends soon and memory holds few partitions.
                    collect(until=workers - 1)
                    running[pool.submit(self._write_tile, runs, tile, schema)] = number
                collect(until=0)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        ordered = [results[number] for number in range(len(tiles))]
        return [file for file, _ in ordered], [footer for _, footer in ordered]

    def _write_tile(
        self, runs: SortedRuns, tile: Tile, schema: pa.Schema
    ) -> tuple[StoredFile, pq.FileMetaData]:
        rows = runs.rows(tile.lo, tile.hi) if tile.nrows else schema.empty_table()
        path = self.folder / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        collector: list[pq.FileMetaData] = []
        options = writer_options(rows, sorted_by=SPATIAL_INDEX, looked_up=self.looked_up)
        pq.write_table(
            rows.cast(marked(schema)),
            path,
            row_group_size=self.layout.row_group,
            metadata_collector=collector,
            **options,
        )
        sync(path)
        file = StoredFile.of(
            self.folder, tile.path, "data", rows=tile.nrows, norder=tile.norder, npix=tile.npix
        )
        return file, collector[0]

    def _write_indexes(self, columns: keys.KeyColumns, ordinals: keys.Ordinals) -> list[StoredFile]:
        stored = []
        scratch, memory = self.scratch, self.layout.memory
        names = ([self.table.key[0]] if self.table.key else []) + list(self.table.indexes)
        for column in dict.fromkeys(names):
            self.progress.say(f"{self.table.name}: index of {column}")
            path = f"index/{quote(column, safe='')}.parquet"
            target = self.folder / path
            if self.table.key and column == self.table.key[0]:
                rows = keys.write_key_index(
                    columns, self.table.key, ordinals, target, scratch=scratch, memory=memory
                )
            else:
                rows = keys.write_index(columns, column, target, scratch=scratch, memory=memory)
            sync(target)
            stored.append(StoredFile.of(self.folder, path, "index", rows=rows, column=column))
        return stored

    # ---- without positions --------------------------------------------------------------------

    def _write_plain(self, files: Sequence[Matched]) -> list[StoredFile]:
        ordinals = keys.Ordinals()
        schema = Conformer(self.table).schema
        everything = keys.KeyColumns(schema.names, schema, self.scratch / "rows.parquet")
        nbytes = 0
        for batch in self._rows(files, ordinals):
            everything.add(batch, ordinals.take(batch.num_rows))
            nbytes += batch.nbytes
        everything.close()
        parts = _Parts(self, schema, self.layout.rows_per_file(ordinals.total, nbytes))
        with closing(parts):
            for rows in self._by_key(everything, ordinals, schema):
                parts.add(rows)
            return parts.finish()

    def _by_key(
        self, everything: keys.KeyColumns, ordinals: keys.Ordinals, schema: pa.Schema
    ) -> Iterator[pa.Table]:
        """Give all rows in order, or as they came if nothing orders them."""
        order = ", ".join(keys.quoted(c) for c in (*self.order, keys.ORDINAL))
        check = keys.UniqueCheck(self.table.key, ordinals) if self.table.key else None
        with keys.sorter(self.scratch, self.layout.memory) as connection:
            query = f"SELECT * FROM read_parquet(?) ORDER BY {order}"  # noqa: S608
            result = connection.sql(query, params=[str(everything.path)])
            for batch in result.to_arrow_reader(self.layout.row_group):
                if check:
                    check.see(batch)
                yield pa.Table.from_batches([batch]).select(schema.names).cast(schema)


class _Parts:
    """Rows without positions as files of bounded size."""

    def __init__(self, writer: Writer, schema: pa.Schema, limit: int) -> None:
        self._folder, self._schema, self._limit = writer.folder, schema, limit
        self._row_group = writer.layout.row_group
        self._sorted_by = writer.order[0] if writer.order else None
        self._looked_up = writer.looked_up
        self._stored: list[StoredFile] = []
        self._open: pq.ParquetWriter | None = None
        self._rows = 0

    @property
    def _path(self) -> str:
        return f"dataset/part-{len(self._stored):05d}.parquet"

    def add(self, rows: pa.Table) -> None:
        """Write rows, beginning new files as they fill."""
        for start in range(0, max(1, rows.num_rows), self._row_group):
            if self._open is None:
                path = self._folder / self._path
                path.parent.mkdir(exist_ok=True)
                options = writer_options(rows, sorted_by=self._sorted_by, looked_up=self._looked_up)
                self._open = pq.ParquetWriter(path, marked(self._schema), **options)
            some = rows.slice(start, self._row_group)
            self._open.write_table(some.cast(marked(self._schema)), row_group_size=self._row_group)
            self._rows += some.num_rows
            if self._rows >= self._limit:
                self._end()

    def finish(self) -> list[StoredFile]:
        """End the last file, and give what was written."""
        if not self._stored and self._open is None:
            # An empty table still is a file, so that it can be queried.
            self.add(self._schema.empty_table())
        self._end()
        return self._stored

    def close(self) -> None:
        """Close what is open, after a failure."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _end(self) -> None:
        if self._open is None:
            return
        self.close()
        sync(self._folder / self._path)
        self._stored.append(StoredFile.of(self._folder, self._path, "data", rows=self._rows))
        self._rows = 0
