"""DuckDB embedded, over the Parquet of releases.

What may be reached is locked down in three ways: every name in the SQL comes from the model
(`cerro_services.adql`), only one SELECT is ever executed, and the database itself opens no file
outside the release store, loads no extension and lets no setting be changed.
"""

# ruff: noqa: S608 - SQL is what this module writes; every name in it is the model's or its own.

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from cerro_services.adql import Query, Scan
from cerro_services.adql.values import literal, quoted
from cerro_services.engine.base import (
    EngineError,
    QueryCancelledError,
    QueryRefusedError,
    ResourceError,
    Stream,
)
from cerro_services.engine.coverage import Ranges, cover, merge, warm
from cerro_services.errors import CerroError
from cerro_services.release import Catalog

log = logging.getLogger(__name__)

SPATIAL_INDEX = "_healpix_29"
BATCH_ROWS = 32_768
"""Rows of a batch: few enough that the first leaves early, many enough to be written fast."""
_MAX_KEYS = 64
"""Lookups of more values than this are left to the statistics of the row groups."""


@dataclass(frozen=True)
class Limits:
    """What all queries together may use.

    Parameters
    ----------
    memory
        Memory, as DuckDB writes it ("2GB").
    threads
        Threads.
    spill
        Folder for what does not fit into memory; None if nothing may be written.
    """

    memory: str = "2GB"
    threads: int = 2
    spill: Path | None = None


class DuckDBEngine:
    """Runs queries on the Parquet files of releases.

    Parameters
    ----------
    releases
        Folders that Parquet may be read from.
    limits
        Memory, threads and disk.
    """

    def __init__(self, releases: Sequence[Path], limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self._connection = duckdb.connect(":memory:")
        folders = ", ".join(literal(f"{folder.resolve()}/") for folder in releases)
        settings = [
            f"SET GLOBAL threads = {limits.threads:d}",
            f"SET GLOBAL memory_limit = {literal(limits.memory)}",
            f"SET GLOBAL temp_directory = {literal(str(limits.spill) if limits.spill else '')}",
            "SET GLOBAL parquet_metadata_cache = true",
            "SET GLOBAL autoinstall_known_extensions = false",
            "SET GLOBAL autoload_known_extensions = false",
            "SET GLOBAL allow_community_extensions = false",
            "SET GLOBAL error_on_division_by_zero = false",
            "SET GLOBAL TimeZone = 'UTC'",
            f"SET GLOBAL allowed_directories = [{folders}]",
            "SET GLOBAL enable_external_access = false",
            "SET GLOBAL lock_configuration = true",
        ]
        for setting in settings:
            self._connection.execute(setting)

    def stream(self, query: Query, *, limit: int | None = None) -> Stream:
        """Give the rows of a query; see `cerro_services.engine.base.Engine.stream`."""
        return _DuckDBStream(self, query, limit, self._connection.cursor())

    def run(self, query: Query, limit: int | None, cursor: Any) -> pa.RecordBatchReader:
        """Run a query on a connection of its own until it gives its first rows."""
        needed = query.needed(limit)
        sql = query.sql(lambda scan: self._source(scan, cursor, needed), limit=limit)
        statements = cursor.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise EngineError("The query did not become one SELECT.")
        return cursor.sql(statements[0]).to_arrow_reader(BATCH_ROWS)

    def warm(self) -> None:
        """Load what the first query would otherwise wait for."""
        warm()

    def close(self) -> None:
        """Stop all queries and close the database."""
        self._connection.close()

    def _source(self, scan: Scan, cursor: Any, needed: int | None) -> str:
        stored = scan.table.stored
        if isinstance(stored, pa.Table):
            name = f"m{scan.number}"
            cursor.register(name, stored)
            return name
        # A table whose rows are only counted needs some column all the same.
        names = list(scan.columns) or [scan.table.model.columns[0].name]
        columns = ", ".join(map(quoted, names))
        if not stored.files:
            raise EngineError(f"{scan.table.name} has no files. Publish the release again.")
        ranges = self._ranges(scan, stored, cursor)
        if ranges is None:
            paths = _enough(stored, needed if scan.any_rows else None)
            return f"(SELECT {columns} FROM {_parquet(paths)})"
        files = stored.files_for(ranges)
        if not files:
            return f"(SELECT {columns} FROM {_parquet([stored.files[0].path])} WHERE FALSE)"
        return f"(SELECT {columns} FROM {_parquet(files)} WHERE {_in_ranges(ranges)})"

    def _ranges(self, scan: Scan, stored: Catalog, cursor: Any) -> Ranges | None:
        if not stored.is_spatial:
            return None
        ranges = cover(scan.regions)
        if ranges is not None:
            return ranges
        for column, keys in scan.equals:
            index = stored.indexes.get(column)
            if index is not None and len(keys) <= _MAX_KEYS:
                return _looked_up(index, column, keys, cursor)
        return None


class _DuckDBStream:
    """The rows of one query."""

    def __init__(self, engine: DuckDBEngine, query: Query, limit: int | None, cursor: Any) -> None:
        self._engine = engine
        self._query = query
        self._limit = limit
        self._cursor = cursor
        self._reader: pa.RecordBatchReader | None = None
        self._reason: CerroError | None = None
        self._closed = False
        self._lock = threading.Lock()

    def begin(self) -> pa.Schema:
        with self._failures():
            self._reader = self._engine.run(self._query, self._limit, self._cursor)
        return self._reader.schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        if self._reader is None:
            self.begin()
        assert self._reader is not None
        while True:
            with self._failures():
                try:
                    batch = self._reader.read_next_batch()
                except StopIteration:
                    return
            yield batch

    def cancel(self, reason: CerroError | None = None) -> None:
        with self._lock:
            self._reason = self._reason or reason or QueryCancelledError("The query was stopped.")
            if not self._closed:
                self._cursor.interrupt()

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._reader is not None:
            self._reader.close()
        self._cursor.close()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Tell the failures of the database as errors of the engine."""
        if self._reason is not None:
            raise self._reason
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if self._reason is not None:
                raise self._reason from None
            raise _explained(error, self._query) from error


def _parquet(paths: Sequence[Path]) -> str:
    files = ", ".join(literal(str(path.resolve())) for path in paths)
    return f"read_parquet([{files}], hive_partitioning = false)"


def _enough(stored: Catalog, rows: int | None) -> list[Path]:
    """Give the first files that hold a number of rows; all if there is no number."""
    paths: list[Path] = []
    found = 0
    for partition in stored.files:
        paths.append(partition.path)
        found += partition.nrows
        if rows is not None and found >= rows:
            break
    return paths


def _in_ranges(ranges: Ranges) -> str:
    tests = [f"{SPATIAL_INDEX} BETWEEN {lo} AND {hi - 1}" for lo, hi in ranges.tolist()]
    if len(tests) == 1:
        return tests[0]
    whole = f"{SPATIAL_INDEX} BETWEEN {int(ranges[0, 0])} AND {int(ranges[-1, 1]) - 1}"
    return f"{whole} AND ({' OR '.join(tests)})"


def _looked_up(index: Path, column: str, keys: tuple[int | str, ...], cursor: Any) -> Ranges | None:
    """Give the cells of rows by the values of a column that has an index."""
    members = ", ".join(literal(key) if isinstance(key, str) else str(key) for key in keys)
    sql = (
        f"SELECT DISTINCT {SPATIAL_INDEX} FROM {_parquet([index])} "
        f"WHERE {quoted(column)} IN ({members}) LIMIT 10000"
    )
    cells = np.sort(cursor.execute(sql).fetchnumpy()[SPATIAL_INDEX].astype(np.int64))
    if len(cells) >= 10000:
        return None
    return merge(np.column_stack((cells, cells + 1)), _MAX_KEYS)


def _explained(error: Exception, query: Query) -> CerroError:
    """Say what a failure of the database means to who asked."""
    first = str(error).strip().split("\n")[0]
    if isinstance(error, duckdb.InterruptException) or "INTERRUPT" in first:
        return QueryCancelledError("The query was stopped.")
    if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory" in first:
        return ResourceError(
            "The query needs more memory and disk than it may have. Select fewer columns or rows, "
            "or limit it to a part of the sky."
        )
    refused = (
        duckdb.ConversionException,
        duckdb.OutOfRangeException,
        duckdb.TypeMismatchException,
        duckdb.InvalidTypeException,
    )
    if isinstance(error, refused) or first.startswith(("Conversion Error", "Out of Range Error")):
        return QueryRefusedError(first.split(": ", 1)[-1])
    if isinstance(error, duckdb.BinderException):
        log.warning("DuckDB did not accept %r: %s", query.adql, error)
        return QueryRefusedError(
            "The types of an expression do not fit together: " + _without_names(first)
        )
    tables = ", ".join(sorted({scan.table.name for scan in query.scans}))
    log.error("query failed on %s: %s (%r)", tables, error, query.adql)
    return EngineError(
        f"The data of {tables} could not be read. The operator finds the reason in the log."
    )


def _without_names(text: str) -> str:
    text = text.split(": ", 1)[-1]
    return text.split("!")[0].strip() + "."
