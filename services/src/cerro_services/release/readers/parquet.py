"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import pyarrow as pa
import pyarrow.parquet as pq

from cerro_services.release.errors import DataError
from cerro_services.release.readers.base import BATCH_BYTES, Field, TableSource


class ParquetSource(TableSource):
    """One Parquet file; units, UCDs and descriptions are read from the metadata of its fields."""

    @cached_property
    def _file(self) -> pq.ParquetFile:
        try:
            # Text read as dictionaries or views would only be converted again.
            return pq.ParquetFile(self.path, memory_map=False, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"cannot be read as Parquet: {_first_line(error)} "
                "The file may be cut short; fetch or write it again.",
                file=self.path,
            ) from error

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The columns of the file."""
        found = []
        for field in self._file.schema_arrow:
            meta = {
                k.decode(): v.decode(errors="replace") for k, v in (field.metadata or {}).items()
            }
            found.append(
                Field(
                    field.name,
                    field.type,
                    unit=meta.get("unit"),
                    ucd=meta.get("ucd"),
                    utype=meta.get("utype"),
                    description=meta.get("description") or meta.get("doc"),
                    datatype=meta.get("datatype"),
                    arraysize=meta.get("arraysize"),
                    xtype=meta.get("xtype"),
                )
            )
        return tuple(found)

    @property
    def nrows(self) -> int:
        """Number of rows."""
        return int(self._file.metadata.num_rows)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read the rows, a few thousand at a time."""
        wanted = set(columns)
        meta = self._file.metadata
        size = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
        share = max(1, len(wanted)) / max(1, len(self.fields))
        width = max(8.0, size * share / max(1, meta.num_rows))
        rows = max(256, min(131_072, int(BATCH_BYTES / width)))
        done = 0
        try:
            for batch in self._file.iter_batches(batch_size=rows, columns=list(columns)):
                yield batch.select(list(columns))
                done += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise DataError(
                f"is damaged after row {done:,}: {_first_line(error)}", file=self.path
            ) from error


def _first_line(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text if text.endswith(".") else f"{text}."
