"""Parquet with the metadata of a VOTable inside (VOParquet 1.0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from cerro_services.formats import votable
from cerro_services.formats.arrow import STATUS, schema
from cerro_services.formats.conform import conform
from cerro_services.formats.fields import Field
from cerro_services.formats.frame import BARE, Frame
from cerro_services.formats.sink import Sink

MIME = "application/vnd.apache.parquet"
VERSION_KEY = "IVOA.VOTable-Parquet.version"
CONTENT_KEY = "IVOA.VOTable-Parquet.content"
_GROUP_ROWS = 131_072
_GROUP_BYTES = 32 << 20
"""A row group is held until it is written: few enough to hold little, many enough to read fast."""


class ParquetWriter:
    """Writes Parquet; the footer holds a VOTable without rows, which describes the columns.

    Parameters
    ----------
    fields
        The columns.
    frame
        What the document says besides the rows.
    """

    def __init__(self, fields: Sequence[Field], frame: Frame = BARE) -> None:
        self._fields = fields
        self._frame = frame
        self._sink = Sink()
        self._lengths: dict[int, int] = {}
        self._schema = schema(fields)
        self._held: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._writer = parquet.ParquetWriter(
            pa.PythonFile(self._sink, mode="w"),
            self._schema,
            compression="zstd",
            compression_level=1,
            # A dictionary of numbers costs five times what all else does, and gains nothing.
            use_dictionary=[f.name for f in self._schema if pa.types.is_string(f.type)],
        )

    def begin(self) -> bytes:
        """Write what comes before the first row."""
        return self._sink.take()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write a batch of rows, once there are enough for a row group."""
        arrays = conform(batch, self._fields)
        for i, array in enumerate(arrays):
            if pa.types.is_string(array.type) and len(array):
                longest = pc.max(pc.utf8_length(array)).as_py() or 1
                self._lengths[i] = max(self._lengths.get(i, 1), longest)
        made = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._held.append(made)
        self._rows += made.num_rows
        self._bytes += made.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()
        return self._sink.take()

    def end(self, *, overflow: bool = False, error: str | None = None) -> Sequence[bytes]:
        """Write the footer, which tells of missing rows.

        Raises
        ------
        ConnectionAbortedError
            There was an error: the file stays without a footer, and no reader takes it as whole.
        """
        if error is not None:
            raise ConnectionAbortedError(error)
        self._flush()
        bounded = [self._bounded(i, f) for i, f in enumerate(self._fields)]
        document = (
            votable.start(self._frame.info)
            + votable.table(bounded, self._frame.services)
            + votable.end(bounded, self._frame.services, overflow=overflow)
        )
        metadata = {VERSION_KEY: "1.0", CONTENT_KEY: document}
        if overflow:
            metadata |= {STATUS: "OVERFLOW", "cerro.overflow": "true"}
        self._writer.add_key_value_metadata(metadata)
        self._writer.close()
        return [self._sink.take()]

    def close(self) -> None:
        """Let go of the rows that are held."""
        self._held = []

    def _flush(self) -> None:
        if self._rows:
            group = pa.Table.from_batches(self._held, self._schema)
            self._writer.write_table(group, row_group_size=self._rows)
        self._held, self._rows, self._bytes = [], 0, 0

    def _bounded(self, number: int, field: Field) -> Field:
        """Give strings their greatest length: astropy's reader merges no strings without one."""
        if field.column.arraysize != "*" or not field.is_text:
            return field
        bounded = replace(field.column, arraysize=f"{self._lengths.get(number, 1)}*")
        return replace(field, column=bounded)
