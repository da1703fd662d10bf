"""Parquet with the metadata of a VOTable inside (VOParquet 1.0)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from cerro_services.formats import votable
from cerro_services.formats.fields import Field, conform

MIME = "application/vnd.apache.parquet"
VERSION_KEY = "IVOA.VOTable-Parquet.version"
CONTENT_KEY = "IVOA.VOTable-Parquet.content"


class ParquetWriter:
    """Writes Parquet; the footer holds a VOTable without rows, which describes the columns.

    Parameters
    ----------
    fields
        The columns.
    info
        Names and values of INFO elements.
    """

    def __init__(self, fields: Sequence[Field], info: Sequence[tuple[str, str]] = ()) -> None:
        self._fields = fields
        self._info = info
        self._sink = _Sink()
        self._lengths: dict[int, int] = {}
        names = _distinct([f.column.name or f"col{i + 1}" for i, f in enumerate(fields)])
        self._schema = pa.schema([pa.field(n, f.type) for n, f in zip(names, fields, strict=True)])
        self._writer = parquet.ParquetWriter(
            pa.PythonFile(self._sink, mode="w"),
            self._schema,
            compression="zstd",
            compression_level=1,
        )

    def begin(self) -> bytes:
        """Write what comes before the first row."""
        return self._sink.take()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write a batch of rows."""
        # astropy's reader (io.misc.parquet) does not read a string column that holds a NULL.
        arrays = [
            array.fill_null("") if pa.types.is_string(array.type) else array
            for array in conform(batch, self._fields)
        ]
        for i, array in enumerate(arrays):
            if pa.types.is_string(array.type) and len(array):
                longest = pc.max(pc.utf8_length(array)).as_py()
                self._lengths[i] = max(self._lengths.get(i, 1), longest)
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        return self._sink.take()

    def end(self, *, overflow: bool = False, error: str | None = None) -> bytes:
        """Write the footer, which tells of missing rows.

        Raises
        ------
        ConnectionAbortedError
            There was an error: the file stays without a footer, and no reader takes it as whole.
        """
        if error is not None:
            raise ConnectionAbortedError(error)
        document = (
            votable.start(self._info)
            + votable.table([self._bounded(i, f) for i, f in enumerate(self._fields)])
            + votable.end(overflow=overflow)
        )
        metadata = {VERSION_KEY: "1.0", CONTENT_KEY: document}
        if overflow:
            metadata["cerro.overflow"] = "true"
        self._writer.add_key_value_metadata(metadata)
        self._writer.close()
        return self._sink.take()

    def _bounded(self, number: int, field: Field) -> Field:
        """Give strings their greatest length: astropy's reader merges no strings without one."""
        if field.column.arraysize != "*" or not pa.types.is_string(field.type):
            return field
        bounded = replace(field.column, arraysize=f"{self._lengths.get(number, 1)}*")
        return replace(field, column=bounded)


class _Sink(io.RawIOBase):
    """A file that is only written and hands out what was written since."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(memoryview(data))  # type: ignore[arg-type]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _distinct(names: Sequence[str]) -> list[str]:
    """Give names that are different from each other: a Parquet file has each column once."""
    seen: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 2
        while candidate in seen:
            candidate, number = f"{name}_{number}", number + 1
        seen.add(candidate)
        result.append(candidate)
    return result
