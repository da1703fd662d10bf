"""DuckDB embedded, over the Parquet of releases.

What may be reached is locked down in three ways: every name in the SQL comes from the model
(`cerro_services.adql`), only one SELECT is ever executed, and the database itself opens no file
outside the release store, loads no extension and lets no setting be changed.

There are two databases. One has all threads, for scans. The other has none but the caller's own,
for queries that read little: they need not wait until the system wakes a second thread, which on a
busy machine takes longer than the query.
"""

from __future__ import annotations

import logging
import shutil
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from cerro_services.adql import Query
from cerro_services.adql.values import literal
from cerro_services.engine.base import (
    EngineError,
    Estimate,
    QueryCancelledError,
    QueryRefusedError,
    ResourceError,
    Stream,
)
from cerro_services.engine.fetched import opened
from cerro_services.engine.files import Files
from cerro_services.engine.functions import register
from cerro_services.engine.picking import Picker, copied
from cerro_services.engine.reading import REMOTE, Reading, plan
from cerro_services.engine.spill import own_spill
from cerro_services.errors import CerroError
from cerro_services.objects import BucketError, CachedPath
from cerro_services.release import Catalog

if TYPE_CHECKING:
    from cerro_services.engine.remote import RemoteScans

log = logging.getLogger(__name__)
# Of few rows, the copy costs less than planning the query twice.
warnings.filterwarnings("ignore", message="Arrow output on a DB-API result")

BATCH_ROWS = 32_768
"""Rows of a batch: few enough that the first leaves early, many enough to be written fast."""
_LITTLE = 100_000
"""Queries that read no more rows than this run in the caller's thread."""
_LITTLE_MEMORY = "256MB"
_STARTING, _RATE = 0.005, 400e6
"""Seconds that any query takes, and bytes of stored columns that one thread reads in a second."""
_PROGRESS = ("enable_progress_bar", "enable_progress_bar_print", "progress_bar_time")
"""The only settings that stay open: DuckDB counts progress where a bar is on, even if not shown."""


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
    spill_size
        Disk that it may take, as DuckDB writes it.
    """

    memory: str = "2GB"
    threads: int = 2
    spill: Path | None = None
    spill_size: str = "50GB"


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
        mirrors = [folder for folder in releases if isinstance(folder, CachedPath)]
        self._remote = _remote(mirrors) if mirrors else None
        folders = [f"{folder.resolve()}/" for folder in releases]
        folders += [f"{REMOTE}://{mirror}/" for mirror in mirrors]
        self._threads = limits.threads
        self._files = Files(opened)
        self._picker = Picker(self._files)
        spills = [own_spill(limits.spill) for _ in range(2)]
        self._spills = [folder for folder in spills if folder is not None]
        self._wide = _locked(
            folders, limits.memory, limits.threads, replace(limits, spill=spills[0]), self._remote
        )
        self._little = _locked(
            folders, _LITTLE_MEMORY, 1, replace(limits, spill=spills[1]), self._remote
        )

    def stream(self, query: Query, *, limit: int | None = None) -> Stream:
        """Give the rows of a query; see `cerro_services.engine.base.Engine.stream`."""
        return _DuckDBStream(self, query, limit)

    def pick(self, query: Query, limit: int | None) -> dict[int, pa.Table]:
        """Pick the rows of those scans that ask for few, by number of the scan."""
        return self._picker.pick(query.scans, query.needed(limit))

    def prepare(
        self,
        query: Query,
        limit: int | None,
        picked: Mapping[int, pa.Table],
        held: ExitStack,
        stopped: Callable[[], bool],
    ) -> tuple[Any, str, bool]:
        """Find out what a query reads, and where it runs best.

        Parameters
        ----------
        query
            The query.
        limit
            Number of rows to stop after.
        picked
            The rows of its scans that were picked.
        held
            Takes what must be given back when its rows are no longer read.
        stopped
            Whether the query was stopped.

        Returns
        -------
        tuple of connection, str and bool
            A connection of the query's own, the SQL to run on it, and whether its rows are so few
            that they may be held.
        """
        needed = query.needed(limit)
        readings = [
            Reading(f"m{scan.number}", picked[scan.number].num_rows, picked[scan.number])
            if scan.number in picked
            else plan(scan, needed, self._fetch)
            for scan in query.scans
        ]
        for scan, reading in zip(query.scans, readings, strict=True):
            if isinstance(scan.table.stored, Catalog):
                self._files.check(scan.table.stored, reading.paths)
        if self._remote is not None:
            readings = [self._remote.scan(reading, held, stopped) for reading in readings]
        little = sum(reading.rows for reading in readings) <= _LITTLE
        cursor = (self._little if little else self._wide).cursor()
        if not little:
            cursor.execute("SET enable_progress_bar = true")
            cursor.execute("SET enable_progress_bar_print = false")
            cursor.execute("SET progress_bar_time = 0")
        for reading in readings:
            if reading.memory is not None:
                cursor.register(reading.sql, reading.memory)
        sql = query.sql(lambda scan: readings[scan.number].sql, limit=limit, zones=True)
        # Without a join, there are no more rows than are read.
        return cursor, sql, little and len(readings) == 1 and "JOIN" not in query.template

    def estimate(self, query: Query, *, limit: int | None = None) -> Estimate:
        """Say what a query would read; see `cerro_services.engine.base.Engine.estimate`."""
        needed = query.needed(limit)
        rows = size = 0
        for scan in query.scans:
            reading = plan(scan, needed, self._fetch)
            rows += reading.rows
            size += reading.bytes
        return Estimate(rows, size, _STARTING + size / (_RATE * self._threads))

    def warm(self, catalogs: Iterable[Catalog] = ()) -> None:
        """Load what the first query would otherwise wait for."""
        with self._little.cursor() as cursor:
            cursor.register("m0", pa.table({"x": [1.0]}))
            cursor.execute("SELECT x FROM m0").to_arrow_reader(BATCH_ROWS)
        for catalog in catalogs:
            try:
                self._picker.warm(catalog)
            except (OSError, pa.ArrowException) as error:
                # Whoever asks for it is told; the other tables are as good as they were.
                log.warning("%s cannot be read: %s", catalog.root, error)

    def close(self) -> None:
        """Stop all queries and close the databases."""
        self._wide.close()
        self._little.close()
        for folder in self._spills:
            shutil.rmtree(folder, ignore_errors=True)

    def _fetch(self, sql: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        with self._little.cursor() as cursor:
            (cells,) = cursor.execute(sql).fetchnumpy().values()
        return np.asarray(cells, np.int64)


class _DuckDBStream:
    """The rows of one query."""

    def __init__(self, engine: DuckDBEngine, query: Query, limit: int | None) -> None:
        self._engine = engine
        self._query = query
        self._limit = limit
        self._cursor: Any = None
        self._reader: pa.RecordBatchReader | None = None
        self._reason: CerroError | None = None
        self._held = ExitStack()
        self._closed = False
        self._lock = threading.Lock()

    def begin(self) -> pa.Schema:
        with self._failures():
            picked = self._engine.pick(self._query, self._limit)
            rows = copied(self._query, picked, self._limit)
            if rows is not None:
                self._reader = rows.to_reader(BATCH_ROWS)
                return self._reader.schema
            cursor, sql, small = self._engine.prepare(
                self._query, self._limit, picked, self._held, lambda: self._reason is not None
            )
            with self._lock:
                self._cursor = cursor
            statements = cursor.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise EngineError("The query did not become one SELECT.")
            if small:
                # Planned once, not first for its columns; that holds all rows, which are few.
                self._reader = cursor.execute(statements[0]).to_arrow_reader(BATCH_ROWS)
            else:
                self._reader = cursor.sql(statements[0]).to_arrow_reader(BATCH_ROWS)
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
            if self._cursor is not None and not self._closed:
                self._cursor.interrupt()

    def progress(self) -> float | None:
        with self._lock:
            if self._cursor is None or self._closed:
                return None
            percent = float(self._cursor.query_progress())
        return None if percent < 0 else min(1.0, percent / 100)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._reader is not None:
            self._reader.close()
        if self._cursor is not None:
            self._cursor.close()
        self._held.close()

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


def _remote(mirrors: Sequence[CachedPath]) -> RemoteScans:
    from cerro_services.engine.remote import RemoteScans

    return RemoteScans(mirrors)


def _locked(
    folders: Sequence[str], memory: str, threads: int, limits: Limits, remote: RemoteScans | None
) -> Any:
    """Open a database that reaches nothing but Parquet below some folders."""
    connection = duckdb.connect(":memory:")
    register(connection)
    if remote is not None:
        connection.register_filesystem(remote)
    settings = [
        f"SET GLOBAL threads = {threads:d}",
        f"SET GLOBAL memory_limit = {literal(memory)}",
        f"SET GLOBAL temp_directory = {literal(str(limits.spill) if limits.spill else '')}",
        f"SET GLOBAL max_temp_directory_size = {literal(limits.spill_size)}",
        # The system keeps what was read; a second copy would only take memory.
        "SET GLOBAL enable_external_file_cache = false",
        "SET GLOBAL parquet_metadata_cache = true",
        # Rows have no order but that of ORDER BY. To keep one, DuckDB holds back all rows of a
        # LIMIT up to a million, and reads those of a greater one with one thread.
        "SET GLOBAL preserve_insertion_order = false",
        "SET GLOBAL autoinstall_known_extensions = false",
        "SET GLOBAL autoload_known_extensions = false",
        "SET GLOBAL allow_community_extensions = false",
        "SET GLOBAL error_on_division_by_zero = false",
        "SET GLOBAL TimeZone = 'UTC'",
        f"SET GLOBAL allowed_directories = [{', '.join(map(literal, folders))}]",
        "SET GLOBAL enable_external_access = false",
        "SET GLOBAL python_enable_replacements = false",
        f"SET GLOBAL allowed_configs = [{', '.join(map(literal, _PROGRESS))}]",
        "SET GLOBAL lock_configuration = true",
    ]
    for setting in settings:
        connection.execute(setting)
    return connection


def _explained(error: Exception, query: Query) -> CerroError:
    """Say what a failure of the database means to who asked."""
    first = str(error).strip().split("\n")[0]
    if isinstance(error, duckdb.InterruptException) or "INTERRUPT" in first:
        return QueryCancelledError("The query was stopped.")
    if "No space left on device" in str(error):
        log.error("the disk is full: %s", error)
        return ResourceError(
            "The server's disk is full, so the query had no room for what does not fit into "
            "memory. Select fewer columns or rows, or tell the operator."
        )
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
    tables = _unreadable(str(error), query)
    log.error("query failed on %s: %s (%r)", tables, error, query.adql)
    if isinstance(error, BucketError) or "BucketError" in str(error):
        return EngineError(
            f"The data of {tables} could not be read from the object store that holds them. Try "
            "again in a minute; the operator finds the reason in the log."
        )
    return EngineError(
        f"The data of {tables} could not be read. The operator finds the reason in the log."
    )


def _unreadable(text: str, query: Query) -> str:
    """Name the tables whose files an error is about; all of the query if it names none."""
    names = {scan.table.name for scan in query.scans}
    named = {
        scan.table.name
        for scan in query.scans
        if isinstance(scan.table.stored, Catalog) and _place(scan.table.stored.root) in text
    }
    return ", ".join(sorted(named or names))


def _place(folder: Path) -> str:
    return f"{folder.place if isinstance(folder, CachedPath) else folder}/"


def _without_names(text: str) -> str:
    text = text.split(": ", 1)[-1]
    return text.split("!")[0].strip() + "."
