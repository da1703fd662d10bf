"""From an upload to a table that queries can name: in memory if it is small, else on disk."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from cerro_services.adql import QueryTable
from cerro_services.release import Catalog, Column, Partition
from cerro_services.release.errors import DataError
from cerro_services.release.model import TableModel
from cerro_services.release.readers import Field, TableSource
from cerro_services.uploads import position
from cerro_services.uploads.columns import Columns
from cerro_services.uploads.errors import UploadError, UploadTooLargeError
from cerro_services.uploads.guard import BombError, written_out
from cerro_services.uploads.model import SCHEMA, Check, Upload, UploadLimits
from cerro_services.uploads.sources import described, open_source
from cerro_services.uploads.types import arrow_of
from cerro_services.uploads.unpack import EXPANSION, form_of, unpacked

if TYPE_CHECKING:
    import pyarrow.parquet as pq


log = logging.getLogger(__name__)

_UNFORESEEN = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
    pa.ArrowException,
)


@dataclass(frozen=True)
class Content:
    """The rows of an upload.

    Parameters
    ----------
    columns
        Its columns.
    table
        The rows, if they are few.
    path
        A Parquet file with the rows, if they are many.
    nrows
        Number of rows.
    position
        Names of right ascension and declination, if there are any.
    placed
        Whether every row has a position on the sky.
    """

    columns: tuple[Column, ...]
    table: pa.Table | None
    path: Path | None
    nrows: int
    position: tuple[str, str] | None
    placed: bool

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Give the rows."""
        if self.table is not None:
            yield from self.table.to_batches()
        elif self.path is not None:
            import pyarrow.parquet as pq

            with pq.ParquetFile(self.path) as file:
                yield from file.iter_batches(65_536)


def load(upload: Upload, limits: UploadLimits, check: Check | None = None) -> QueryTable:
    """Read an upload.

    Parameters
    ----------
    upload
        As `receive` gave it. Large ones leave files beside its own.
    limits
        How large it may be.
    check
        Called now and then; what it raises ends the reading.

    Returns
    -------
    QueryTable
        In schema TAP_UPLOAD: a table in memory, or the files of a catalogue.

    Raises
    ------
    UploadError
        It is of no known format, damaged, or holds what no query can use.
    UploadTooLargeError
        It has more rows, columns or bytes than may be.
    """
    content = read(upload, limits, check)
    stored: pa.Table | Catalog
    if content.table is not None:
        stored = content.table
    else:
        assert content.path is not None
        size = content.path.stat().st_size
        file = Partition(content.path, None, None, content.nrows, size)
        stored = Catalog(content.path.parent, (file,))
    ra, dec = content.position if content.position and content.placed else (None, None)
    return QueryTable(SCHEMA, TableModel(upload.name, content.columns, ra=ra, dec=dec), stored)


def read(upload: Upload, limits: UploadLimits, check: Check | None = None) -> Content:
    """Read the rows of an upload; parameters and errors as for `load`."""
    check = check or _nothing
    try:
        path = unpacked(upload, limits.total, check)
        source = open_source(path, form_of(upload, path), limits)
        columns = Columns(upload.name, source, limits.columns, limits.total * EXPANSION)
        with _Rows(upload, limits) as rows:
            for batch in source.batches(columns.names):
                check()
                rows.add(columns.see(batch))
            return rows.settle(columns, check)
    except (DataError, BombError) as error:
        raise described(upload.name, error) from error
    except _UNFORESEEN as error:
        # Who sends what no reader foresaw must not be told that the service failed.
        log.warning("an upload could not be read", exc_info=error)
        raise UploadError(
            upload.name, "is damaged, or of a shape that is not understood here."
        ) from error


def checked(upload: Upload, limits: UploadLimits) -> TableSource:
    """Open an upload to be read into a table whose columns are known; errors as for `load`."""
    try:
        path = unpacked(upload, limits.total, _nothing)
        return _Checked(upload.name, open_source(path, form_of(upload, path), limits), limits)
    except (DataError, BombError) as error:
        raise described(upload.name, error) from error


class _Checked(TableSource):
    """A reader whose rows are counted, and whose dictionaries are measured."""

    def __init__(self, name: str, source: TableSource, limits: UploadLimits) -> None:
        super().__init__(Path(name))
        self._source, self._limits = source, limits
        # They describe an object of this class as well as a class.
        self.is_text = source.is_text  # type: ignore[misc]
        self.empty_is_null = source.empty_is_null  # type: ignore[misc]

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns."""
        return self._source.fields

    @property
    def nrows(self) -> int | None:
        """Number of rows, if it is known."""
        return self._source.nrows

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read the rows."""
        size, rows = self._limits.total * EXPANSION, 0
        try:
            for batch in self._source.batches(columns):
                rows += batch.num_rows
                size -= batch.nbytes
                if rows > self._limits.rows or size < 0:
                    raise BombError(
                        f"has more than {self._limits.rows:,} rows, or too many bytes in them"
                    )
                arrays = [written_out(values, size) for values in batch.columns]
                yield pa.RecordBatch.from_arrays(arrays, names=list(columns))
        except BombError as error:
            raise DataError(f"{error}.", file=self.path) from error


class _Rows:
    """Rows as they are collected: in memory until they are many."""

    def __init__(self, upload: Upload, limits: UploadLimits) -> None:
        self._upload, self._limits = upload, limits
        self._held: list[pa.RecordBatch] = []
        self._nrows = self._nbytes = 0
        self._path = upload.path.with_name(f"{upload.path.name}.seen.parquet")
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> _Rows:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
            self._path.unlink(missing_ok=True)

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows, of which the columns are not settled yet."""
        limits = self._limits
        self._nrows += batch.num_rows
        self._nbytes += batch.nbytes
        if self._nrows > limits.rows:
            raise UploadTooLargeError(
                self._upload.name, f"has more than {limits.rows:,} rows, which is all that is read."
            )
        if self._nbytes > limits.total * EXPANSION:
            raise UploadTooLargeError(
                self._upload.name, f"has more than {limits.total * EXPANSION:,} bytes unpacked."
            )
        self._held.append(batch)
        if self._writer is not None or (
            self._nrows > limits.held or self._nbytes > limits.held_bytes
        ):
            self._spool()

    def settle(self, columns: Columns, check: Check) -> Content:
        """Give all rows, as they are held."""
        settled = columns.settled()
        place = position.find(settled)
        spread = position.Spread()
        if self._writer is None:
            batches = [columns.convert(batch, settled) for batch in self._held]
            table = _table(batches, settled)
            if place is not None:
                for batch in batches:
                    spread.see(*(batch.column(name) for name in place))
            return Content(settled, table, None, self._nrows, place, spread.whole)
        return self._on_disk(columns, settled, place, spread, check)

    def _on_disk(
        self,
        columns: Columns,
        settled: Sequence[Column],
        place: tuple[str, str] | None,
        spread: position.Spread,
        check: Check,
    ) -> Content:
        import pyarrow.parquet as pq

        assert self._writer is not None
        self._writer.close()
        target = self._upload.path.with_name(f"{self._upload.path.name}.parquet")
        writer: pq.ParquetWriter | None = None
        try:
            with pq.ParquetFile(self._path) as file:
                for seen in file.iter_batches(65_536):
                    check()
                    batch = columns.convert(seen, settled)
                    if place is not None:
                        spread.see(*(batch.column(name) for name in place))
                    writer = writer or pq.ParquetWriter(target, batch.schema, compression="zstd")
                    writer.write_batch(batch)
        finally:
            if writer is not None:
                writer.close()
        return Content(tuple(settled), None, target, self._nrows, place, spread.whole)

    def _spool(self) -> None:
        import pyarrow.parquet as pq

        for batch in self._held:
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._path, batch.schema, compression="lz4")
            self._writer.write_batch(batch)
        self._held.clear()


def _table(batches: Sequence[pa.RecordBatch], columns: Sequence[Column]) -> pa.Table:
    if batches:
        return pa.Table.from_batches(batches)
    return pa.schema([pa.field(c.name, arrow_of(c)) for c in columns]).empty_table()


def _nothing() -> None:
    """Let the reading go on."""
