"""How rows lie in Parquet: sizes, encodings, statistics. Figures: ``bench/release.py``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

PAGES = b"cerro:pages"
"""In the metadata of a Parquet file: that each row group has one page a column."""
_SAMPLE = 65_536
_WORTH = 0.3
"""A number column is compressed where that leaves no more than this part of it. Measured on 20
million objects, a full scan of five columns: 300 ms split by byte and compressed by zstd, 175 ms
uncompressed; a catalogue's own numbers shrink to 0.6 to 0.9, and disk is cheaper than waiting."""


@dataclass(frozen=True)
class Layout:
    """Parameters of a stored table.

    Parameters
    ----------
    max_rows
        Most rows in a partition.
    max_bytes
        Most bytes of a partition in memory, for tables of many columns.
    row_group
        Rows in a row group: small enough that a small cone or an object reads little, large enough
        that a scan is not slowed by its parts. Measured on 20 million objects, a scan of five
        columns and an object of 40: 8,192 rows 230 ms and 4.5 ms, 16,384 rows 194 ms and 6 ms,
        32,768 rows 175 ms and 9 ms, 131,072 rows 155 ms.
    memory
        Bytes of rows held in memory while sorting.
    """

    max_rows: int = 1_000_000
    max_bytes: int = 192 << 20
    row_group: int = 16_384
    memory: int = 384 << 20

    def rows_per_file(self, nrows: int, nbytes: int) -> int:
        """Give the most rows of a partition, for rows of this mean width."""
        width = max(1.0, nbytes / max(1, nrows))
        return max(1_000, min(self.max_rows, int(self.max_bytes / width)))


def writer_options(
    rows: pa.Table, *, sorted_by: str | None = None, looked_up: Collection[str] = ()
) -> dict[str, Any]:
    """Give the options of ``pyarrow.parquet`` for a file.

    Numbers stay as they are unless compression makes them a good deal smaller (`_WORTH`): a scan
    then reads them at the speed of memory, and a look-up or a cross-match takes single values
    straight from the file (`cerro_services.engine.mapped`), since each row group has one page a
    column. What compresses well is split by byte (floating point) or delta coded (integers), what
    repeats is kept as a dictionary, and both are compressed by zstd.

    Parameters
    ----------
    rows
        Rows of the file, or some of them, to see what compresses.
    sorted_by
        The column that they are sorted by.
    looked_up
        Columns that are never compressed: positions, keys and what else is looked up.
    """
    encodings: dict[str, str] = {}
    dictionaries: list[str] = []
    compression: dict[str, str] = {}
    levels: dict[str, int] = {}
    for field in rows.schema:
        path = _leaf(field)
        if _is_plain(rows.column(field.name), field.name, {sorted_by, *looked_up}):
            compression[path] = "none"
            continue
        compression[path], levels[path] = "zstd", 3
        if pa.types.is_floating(field.type):
            encodings[field.name] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_int64(field.type) or pa.types.is_timestamp(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif not (pa.types.is_boolean(field.type) or pa.types.is_nested(field.type)):
            dictionaries.append(field.name)
    options: dict[str, Any] = {
        "compression": compression,
        "compression_level": levels or None,
        "use_dictionary": dictionaries,
        "column_encoding": encodings,
        "write_statistics": True,
        "write_page_index": True,
        "data_page_size": 1 << 30,
        "max_rows_per_page": 1 << 30,
        "store_schema": True,
    }
    if sorted_by is not None:
        import pyarrow.parquet as pq

        column = rows.schema.get_field_index(sorted_by)
        options["sorting_columns"] = [pq.SortingColumn(column)]
    return options


def marked(schema: pa.Schema) -> pa.Schema:
    """Note in a schema that each row group of its file has one page a column."""
    return schema.with_metadata({**(schema.metadata or {}), PAGES: b"one"})


def _leaf(field: pa.Field) -> str:
    nested = pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type)
    return f"{field.name}.list.element" if nested else str(field.name)


def _is_plain(column: pa.ChunkedArray, name: str, always: Collection[str | None]) -> bool:
    """Whether a column is better left uncompressed."""
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_timestamp(kind)):
        return False
    if name in always:
        return True
    some = column.slice(0, _SAMPLE).drop_null().combine_chunks()
    if not len(some) or len(some) < column.slice(0, _SAMPLE).length() / 2:
        return False
    width = kind.bit_width // 8
    values = np.asarray(some.view(pa.int64()) if pa.types.is_timestamp(kind) else some)
    split = np.ascontiguousarray(values.view(np.uint8).reshape(-1, width).T)
    packed = pa.compress(split.tobytes(), "zstd", asbytes=True)
    # Parquet has no integers of fewer than four bytes.
    return bool(len(packed) > _WORTH * len(values) * max(4, width))
