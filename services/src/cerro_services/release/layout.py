"""How rows lie in Parquet: sizes, encodings, statistics. Figures: ``bench/release.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa


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
        Rows in a row group: small enough that a small cone reads little, large enough that a scan
        is not slowed by its parts.
    memory
        Bytes of rows held in memory while sorting.
    """

    max_rows: int = 1_000_000
    max_bytes: int = 192 << 20
    row_group: int = 32_768
    memory: int = 384 << 20

    def rows_per_file(self, nrows: int, nbytes: int) -> int:
        """Give the most rows of a partition, for rows of this mean width."""
        width = max(1.0, nbytes / max(1, nrows))
        return max(1_000, min(self.max_rows, int(self.max_bytes / width)))


def writer_options(schema: pa.Schema, *, sorted_by: str | None = None) -> dict[str, Any]:
    """Give the options of ``pyarrow.parquet`` for a table of this schema.

    Floating point is split by byte, which zstd then compresses well; the sort column and other
    long integers are delta coded; what repeats is kept as a dictionary. Every page has its least
    and greatest value in the page index.
    """
    encodings: dict[str, str] = {}
    dictionaries: list[str] = []
    for field in schema:
        if pa.types.is_floating(field.type):
            encodings[field.name] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_int64(field.type) or pa.types.is_timestamp(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif not (pa.types.is_boolean(field.type) or pa.types.is_nested(field.type)):
            dictionaries.append(field.name)
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": dictionaries,
        "column_encoding": encodings,
        "write_statistics": True,
        "write_page_index": True,
        "data_page_size": 128 << 10,
        "store_schema": True,
    }
    if sorted_by is not None:
        import pyarrow.parquet as pq

        column = schema.get_field_index(sorted_by)
        options["sorting_columns"] = [pq.SortingColumn(column)]
    return options
