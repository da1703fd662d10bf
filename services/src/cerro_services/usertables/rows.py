"""Rows that are written into a user's table, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cerro_services.release import Catalog
from cerro_services.release.model import TableModel
from cerro_services.release.readers import Field, TableSource

_BATCH = 65_536


class RowsSource(TableSource):
    """Rows that are in memory or can be had again.

    Parameters
    ----------
    path
        Named by errors.
    model
        Their columns.
    schema
        Their Arrow types.
    batches
        Gives them; called once for each reading.
    nrows
        Their number.
    """

    def __init__(
        self, path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch], nrows: int
    ) -> None:
        super().__init__(path)
        self._schema, self._batches, self._nrows = schema, batches, nrows

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The columns."""
        return tuple(Field(field.name, field.type) for field in self._schema)

    @property
    def nrows(self) -> int:
        """Number of rows."""
        return self._nrows

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Give the rows."""
        for batch in self._batches:
            yield batch.select(list(columns))


class StoredSource(TableSource):
    """The rows of a stored version.

    Parameters
    ----------
    catalog
        Its files.
    model
        Its columns.
    """

    def __init__(self, catalog: Catalog, model: TableModel) -> None:
        super().__init__(catalog.root)
        self._catalog, self._model = catalog, model

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The columns."""
        return tuple(Field(column.name, pa.null()) for column in self._model.columns)

    @property
    def nrows(self) -> int:
        """Number of rows."""
        return self._catalog.nrows

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Give the rows."""
        for partition in self._catalog.files:
            with pq.ParquetFile(partition.path) as file:
                for batch in file.iter_batches(_BATCH, columns=list(columns)):
                    yield batch.select(list(columns))
