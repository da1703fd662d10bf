"""Keys and indexes: sorted lists of (value, ``_healpix_29``), and the search for double keys.

An index turns a look-up by value into ranges of HEALPix cells. Sorting is DuckDB's, which spills to
disk; the result is walked as a stream, where equal keys are neighbours. So both the index and the
check of uniqueness need a bounded amount of memory, whatever the size of the table.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cerro_services.release.errors import DataError, ReleaseError
from cerro_services.release.files import is_disk_full
from cerro_services.release.layout import marked, writer_options
from cerro_services.release.model import SPATIAL_INDEX

ORDINAL = "__cerro_ordinal"
"""Number of a row among all rows ingested; leads back to the file and row."""
INDEX_ROW_GROUP = 16_384


def quoted(name: str) -> str:
    """Quote an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def sorter(scratch: Path, memory: int) -> Iterator[Any]:
    """Open a DuckDB that sorts with bounded memory, spilling to `scratch`."""
    import duckdb

    scratch.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        config={
            "memory_limit": f"{max(256, memory >> 20)}MiB",
            "temp_directory": str(scratch / "duckdb"),
            "threads": str(min(4, os.cpu_count() or 1)),
            # Sorted explicitly; keeping the order of what is read would need more memory.
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
        }
    )
    try:
        yield connection
    except duckdb.Error as error:
        if is_disk_full(error):
            raise
        raise ReleaseError(
            f"Sorting failed: {str(error).splitlines()[0]} Give more --memory and repeat."
        ) from error
    finally:
        connection.close()


class Ordinals:
    """Which file and row an ordinal stands for."""

    def __init__(self) -> None:
        self._starts: list[tuple[int, Path]] = []
        self.total = 0

    def begin(self, file: Path) -> None:
        """Note that the rows of a file follow."""
        self._starts.append((self.total, file))

    def take(self, count: int) -> pa.Array:
        """Give the ordinals of the next rows."""
        start, self.total = self.total, self.total + count
        return pa.array(np.arange(start, self.total, dtype=np.int64))

    def place(self, ordinal: int) -> tuple[Path, int]:
        """Give the file and the row, counted from 1."""
        start, file = max(s for s in self._starts if s[0] <= ordinal)
        return file, ordinal - start + 1


class KeyColumns:
    """Collects the columns that keys and indexes are made of, in one scratch file.

    Parameters
    ----------
    columns
        Columns of the key and of indexes.
    schema
        Schema of the stored table.
    path
        The scratch file.
    """

    def __init__(self, columns: Sequence[str], schema: pa.Schema, path: Path) -> None:
        names = list(dict.fromkeys(columns))
        if SPATIAL_INDEX in schema.names:
            names.append(SPATIAL_INDEX)
        self.path = path
        self._names = names
        self._schema = pa.schema([*(schema.field(n) for n in names), (ORDINAL, pa.int64())])
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(path, self._schema, compression="lz4", use_dictionary=False)

    def add(self, batch: pa.RecordBatch, ordinals: pa.Array) -> None:
        """Add rows."""
        arrays = [*(batch[name] for name in self._names), ordinals]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        """Note that no more rows come."""
        self._writer.close()


def write_key_index(
    keys: KeyColumns,
    key: Sequence[str],
    ordinals: Ordinals,
    target: Path,
    *,
    scratch: Path,
    memory: int,
) -> int:
    """Write the index of a table's key, and refuse a key that stands twice.

    Parameters
    ----------
    keys
        The columns of all rows.
    key
        Columns of the key.
    ordinals
        Leads from a row's number to its file.
    target
        The index to be written: the key's columns and ``_healpix_29``, sorted by the key.
    scratch, memory
        Folder and bytes for the sort.

    Returns
    -------
    int
        Rows of the index.

    Raises
    ------
    DataError
        Two rows have the same key, naming the file and row of the second and of the first.
    """
    columns = ", ".join(quoted(c) for c in key)
    query = (
        f"SELECT {columns}, {SPATIAL_INDEX}, {ORDINAL} FROM read_parquet(?)"  # noqa: S608
        f" ORDER BY {columns}, {ORDINAL}"
    )
    check = UniqueCheck(key, ordinals)
    with sorter(scratch, memory) as connection:
        return _write(connection, query, keys.path, [*key, SPATIAL_INDEX], target, check=check)


def write_index(keys: KeyColumns, column: str, target: Path, *, scratch: Path, memory: int) -> int:
    """Write the index of a column whose values may stand more than once.

    Returns
    -------
    int
        Rows of the index: the distinct pairs of value and cell.
    """
    name = quoted(column)
    query = (
        f"SELECT DISTINCT {name}, {SPATIAL_INDEX} FROM read_parquet(?)"  # noqa: S608
        f" WHERE {name} IS NOT NULL ORDER BY 1, 2"
    )
    with sorter(scratch, memory) as connection:
        return _write(connection, query, keys.path, [column, SPATIAL_INDEX], target)


def _write(
    connection: Any,
    query: str,
    source: Path,
    columns: Sequence[str],
    target: Path,
    *,
    check: UniqueCheck | None = None,
) -> int:
    stored = pq.read_schema(source)
    schema = marked(pa.schema([stored.field(name) for name in columns]))
    options = writer_options(schema.empty_table(), sorted_by=columns[0], looked_up=columns)
    target.parent.mkdir(parents=True, exist_ok=True)
    rows = 0
    with pq.ParquetWriter(target, schema, **options) as writer:
        reader = connection.sql(query, params=[str(source)]).to_arrow_reader(8 * INDEX_ROW_GROUP)
        for batch in reader:
            if check:
                check.see(batch)
            table = pa.Table.from_batches([batch]).select(list(columns)).cast(schema)
            writer.write_table(table, row_group_size=INDEX_ROW_GROUP)
            rows += batch.num_rows
    return rows


class UniqueCheck:
    """Walks rows sorted by key and refuses neighbours of the same key.

    Parameters
    ----------
    key
        Columns of the key.
    ordinals
        Leads from a row's number to its file.
    """

    def __init__(self, key: Sequence[str], ordinals: Ordinals) -> None:
        self._key, self._ordinals = list(key), ordinals
        self._last: pa.Table | None = None

    def see(self, batch: pa.RecordBatch) -> None:
        """Look at the next rows.

        Raises
        ------
        DataError
            A key stands twice.
        """
        if not batch.num_rows:
            return
        rows = pa.Table.from_batches([batch]).select([*self._key, ORDINAL])
        if self._last is not None:
            rows = pa.concat_tables([self._last, rows])
        rows = rows.combine_chunks()
        self._last = rows.slice(rows.num_rows - 1)
        if rows.num_rows < 2:
            return
        before, after = rows.slice(0, rows.num_rows - 1), rows.slice(1)
        same = None
        for name in self._key:
            equal = pc.equal(before[name], after[name])
            same = equal if same is None else pc.and_(same, equal)
        where = pc.index(same, True).as_py()
        if where >= 0:
            self._refuse(rows.slice(where, 2).to_pylist())

    def _refuse(self, pair: list[dict[str, Any]]) -> None:
        first, second = (self._ordinals.place(row[ORDINAL]) for row in pair)
        values = [pair[0][name] for name in self._key]
        raise DataError(
            f"the key stands twice, first in {first[0]}, row {first[1]:,}",
            file=second[0],
            column=", ".join(self._key),
            row=second[1],
            value=values[0] if len(values) == 1 else tuple(values),
        )
