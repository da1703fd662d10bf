"""Parquet and Arrow files that promise little and unfold into much, refused before they do.

Both libraries allocate what a file says it needs. So the headers of Parquet's pages are read first
(they say how long each page is unpacked and how many values it holds), compressed Arrow buffers are
not taken, and what is kept as a dictionary is measured before it is written out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

_MOST_PAGE = 256 << 20
_MOST_PAGES = 1_000_000
_HEADER = 1 << 16


class BombError(Exception):
    """A file would unfold into more than may be; the text says what."""


def check_parquet(path: Path, *, rows: int, size: int) -> None:
    """Check what a Parquet file would unfold into.

    Parameters
    ----------
    path
        The file.
    rows, size
        Rows and bytes at most.

    Raises
    ------
    BombError
        It would be more.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(
        path, thrift_string_size_limit=64 << 20, thrift_container_size_limit=4 << 20
    ) as file:
        meta = file.metadata
    if meta.num_rows > rows:
        raise BombError(f"has {meta.num_rows:,} rows; at most {rows:,} are read")
    total, pages = 0, 0
    with path.open("rb") as stream:
        length = stream.seek(0, 2)
        for group in range(meta.num_row_groups):
            for number in range(meta.num_columns):
                column = meta.row_group(group).column(number)
                nested = "." in column.path_in_schema
                values = 0
                for unpacked, count in _pages(stream, length, column):
                    pages += 1
                    total += unpacked
                    values += count
                    if unpacked > _MOST_PAGE or total > size or pages > _MOST_PAGES:
                        raise BombError(f"unfolds into more than {size:,} bytes")
                    # A value takes at least a bit, and eight bytes in memory.
                    if values > (size // 8 if nested else rows):
                        raise BombError(f"says that {column.path_in_schema} has {values:,} values")


def _pages(stream: IO[bytes], length: int, column: object) -> Iterator[tuple[int, int]]:
    """Give the unpacked bytes and the number of values of each page of a column."""
    at = column.data_page_offset  # type: ignore[attr-defined]
    first = column.dictionary_page_offset  # type: ignore[attr-defined]
    if first is not None and first > 0 and not 0 < at <= first:
        at = first
    end = at + column.total_compressed_size  # type: ignore[attr-defined]
    if at < 0 or end > length:
        raise BombError("has a column beyond its end")
    while at < end:
        stream.seek(at)
        header = _Compact(stream.read(min(_HEADER, length - at)))
        fields = header.struct()
        unpacked, packed = fields.get(2), fields.get(3)
        if (
            not isinstance(unpacked, int)
            or not isinstance(packed, int)
            or min(unpacked, packed) < 0
        ):
            raise BombError("has a damaged page")
        inner = next((fields[n] for n in (5, 7, 8) if isinstance(fields.get(n), dict)), {})
        count = inner.get(1, 0) if isinstance(inner, dict) else 0
        is_data = fields.get(1) in {0, 3}
        yield unpacked, int(count) if is_data and isinstance(count, int) else 0
        at += header.at + packed


class _Compact:
    """Reads a struct of Thrift's compact protocol, as far as a page's header needs."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, object]:
        found: dict[int, object] = {}
        number = 0
        while True:
            head = self._byte()
            if head == 0:
                return found
            kind, delta = head & 0x0F, head >> 4
            number = number + delta if delta else self._zigzag()
            found[number] = self._value(kind, depth)

    def _value(self, kind: int, depth: int) -> object:
        if depth > 8:
            raise BombError("has a damaged page")
        if kind in {1, 2}:
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in {4, 5, 6}:
            return self._zigzag()
        if kind == 7:
            return self._passed(8)
        if kind == 8:
            return self._passed(self._varint())
        if kind in {9, 10}:
            head = self._byte()
            count = head >> 4 if head >> 4 != 15 else self._varint()
            if count > _HEADER:
                raise BombError("has a damaged page")
            return [self._value(head & 0x0F, depth + 1) for _ in range(count)]
        if kind == 12:
            return self.struct(depth + 1)
        raise BombError("has a damaged page")

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise BombError("has a damaged page")
        self.at += 1
        return self._data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise BombError("has a damaged page")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _passed(self, count: int) -> object:
        if self.at + count > len(self._data):
            raise BombError("has a damaged page")
        self.at += count
        return None


def check_message(metadata: pa.Buffer) -> None:
    """Refuse an Arrow message whose buffers are compressed: they do not say into how much.

    Parameters
    ----------
    metadata
        The message's flatbuffer.

    Raises
    ------
    BombError
        They are.
    """
    data = bytes(metadata)
    try:
        message = struct.unpack_from("<I", data, 0)[0]
        header = _flat_field(data, message, 2)
        kind = _flat_field(data, message, 1)
        if header is None or kind is None:
            return
        table = header + struct.unpack_from("<I", data, header)[0]
        if data[kind] == 2:  # DictionaryBatch holds a RecordBatch as its second field.
            inner = _flat_field(data, table, 1)
            if inner is None:
                return
            table = inner + struct.unpack_from("<I", data, inner)[0]
        elif data[kind] != 3:
            return
        if _flat_field(data, table, 3) is not None:
            raise BombError(
                "is Arrow with compressed buffers. Write it without compression, or send Parquet"
            )
    except (struct.error, IndexError) as error:
        raise BombError("is damaged Arrow") from error


def _flat_field(data: bytes, table: int, number: int) -> int | None:
    """Give the place of a field of a flatbuffer's table; None if it has none."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    slot = 4 + 2 * number
    if slot + 2 > size:
        return None
    offset = struct.unpack_from("<H", data, vtable + slot)[0]
    return table + offset if offset else None


def written_out(values: pa.Array, size: int) -> pa.Array:
    """Write out what is kept as a dictionary, if that is little enough.

    Parameters
    ----------
    values
        Any array.
    size
        Bytes at most.

    Raises
    ------
    BombError
        It would be more.
    """
    if not pa.types.is_dictionary(values.type):
        return values
    inner = values.type.value_type
    if pa.types.is_string(inner) or pa.types.is_binary(inner) or pa.types.is_large_string(inner):
        lengths = pc.binary_length(values.dictionary).cast(pa.int64())
        if (pc.sum(lengths.take(values.indices)).as_py() or 0) > size:
            raise BombError(f"unfolds into more than {size:,} bytes")
    return values.dictionary_decode()
