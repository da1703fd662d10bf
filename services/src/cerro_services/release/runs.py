"""External sort by HEALPix cell: rows of any number, sorted with a bounded amount of memory.

Rows are collected up to a budget, sorted and written as a *run*; a range of cells is then read from
all runs and merged. Each run keeps its sorted cells beside it, so counting the rows of any cell is
a binary search, and the partitions of a catalogue are known exactly before one is written. (A map
of counts at a fixed order, the usual way, is too coarse where the sky is crowded and needs the
input twice.) If all rows fit the budget, nothing is written and the rows are only permuted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc

from cerro_services.release.model import SPATIAL_INDEX

_BLOCK = 16_384
"""Rows in a block of a run: what is read at least."""

Cells = npt.NDArray[np.int64]


def coalesce(batches: Iterable[pa.RecordBatch], rows: int = 65_536) -> Iterator[pa.RecordBatch]:
    """Join small record batches to batches of some thousand rows."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count >= rows:
            yield pa.concat_batches(held)
            held, count = [], 0
    if held:
        yield pa.concat_batches(held)


@dataclass(frozen=True)
class _Spilled:
    cells: Cells
    path: Path

    def rows(self, start: int, stop: int) -> pa.Table:
        with pa.memory_map(str(self.path)) as stream:
            reader = pa.ipc.open_file(stream)
            first = start // _BLOCK
            blocks = [reader.get_batch(i) for i in range(first, (stop - 1) // _BLOCK + 1)]
        table = pa.Table.from_batches(blocks)
        return table.slice(start - first * _BLOCK, stop - start)


@dataclass(frozen=True)
class _Held:
    cells: Cells
    order: npt.NDArray[np.int64]
    table: pa.Table

    def rows(self, start: int, stop: int) -> pa.Table:
        return self.table.take(pa.array(self.order[start:stop]))


class SortedRuns:
    """Rows by HEALPix cell, in memory or in sorted files.

    Parameters
    ----------
    scratch
        Folder for the files.
    budget
        Bytes of rows that are held in memory.
    """

    def __init__(self, scratch: Path, budget: int) -> None:
        self._scratch = scratch
        # Arrow counts the bytes of text in 32 bits.
        self._budget = min(budget, 1 << 30)
        self._batches: list[pa.RecordBatch] = []
        self._bytes = 0
        self._runs: list[_Spilled | _Held] = []
        self.nrows = 0
        self.nbytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows; the schema has ``_healpix_29``."""
        self._batches.append(batch)
        self._bytes += batch.nbytes
        self.nrows += batch.num_rows
        self.nbytes += batch.nbytes
        if self._bytes > self._budget:
            self._spill()

    def finish(self) -> None:
        """Note that no more rows come."""
        if not self._batches:
            return
        if self._runs:
            self._spill()
        else:
            self._runs.append(self._sorted())

    @property
    def spilled(self) -> int:
        """How many runs were written to files."""
        return sum(isinstance(run, _Spilled) for run in self._runs)

    def count(self, lo: int, hi: int) -> int:
        """Count the rows of a range of cells."""
        return sum(stop - start for start, stop in self._spans(lo, hi))

    def rows(self, lo: int, hi: int) -> pa.Table:
        """Give the rows of a range of cells, sorted; rows of one cell keep their order."""
        parts = [
            run.rows(start, stop)
            for run, (start, stop) in zip(self._runs, self._spans(lo, hi), strict=True)
            if stop > start
        ]
        if len(parts) == 1:
            return parts[0]
        joined = pa.concat_tables(parts).combine_chunks()
        order = np.argsort(joined[SPATIAL_INDEX].to_numpy(), kind="stable")
        return joined.take(pa.array(order))

    def _spans(self, lo: int, hi: int) -> list[tuple[int, int]]:
        edges = np.array([lo, hi], dtype=np.int64)
        found = []
        for run in self._runs:
            start, stop = np.searchsorted(run.cells, edges)
            found.append((int(start), int(stop)))
        return found

    def _sorted(self) -> _Held:
        table = pa.Table.from_batches(self._batches)
        self._batches, self._bytes = [], 0
        schema, columns = table.schema, []
        for name in schema.names:
            # Column by column, so that never more than one is in memory twice.
            columns.append(table[name].combine_chunks())
            table = table.drop_columns([name])
        joined = pa.Table.from_arrays(columns, schema=schema)
        cells = joined[SPATIAL_INDEX].to_numpy()
        order = np.argsort(cells, kind="stable")
        return _Held(cells[order], order, joined)

    def _spill(self) -> None:
        held = self._sorted()
        self._scratch.mkdir(parents=True, exist_ok=True)
        stem = self._scratch / f"run-{len(self._runs):05d}"
        np.save(stem.with_suffix(".npy"), held.cells)
        path = stem.with_suffix(".arrow")
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with (
            pa.OSFile(str(path), "wb") as sink,
            pa.ipc.new_file(sink, held.table.schema, options=options) as writer,
        ):
            for start in range(0, len(held.cells), _BLOCK):
                writer.write_table(held.rows(start, start + _BLOCK), _BLOCK)
        self._runs.append(_Spilled(np.load(stem.with_suffix(".npy"), mmap_mode="r"), path))
